package p2p

import (
	"fmt"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Dialable is those of a host's addresses that others can dial: not 0.0.0.0, which
// says where it listens only, and loopback only where there is no other, in a
// network on one machine.
func Dialable(addrs []string) []string {
	var open, local []string
	for _, a := range addrs {
		m, err := ma.NewMultiaddr(a)
		switch {
		case err != nil || manet.IsIPUnspecified(m):
		case manet.IsIPLoopback(m):
			local = append(local, a)
		default:
			open = append(open, a)
		}
	}
	if len(open) == 0 {
		return local
	}
	return open
}

// WithPeer is an address that ends in /p2p/ and the peer ID. One that ends in
// another's is refused.
func WithPeer(addr, id string) (string, error) {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w (write it as /ip4/203.0.113.7/tcp/4001)", addr, err)
	}
	named, err := m.ValueForProtocol(ma.P_P2P)
	if err != nil {
		return addr + "/p2p/" + id, nil
	}
	if named != id {
		return "", fmt.Errorf("address %q is that of another node, this one is %s", addr, id)
	}
	return addr, nil
}

// IPOf is the IP address in a multiaddr, if it has one.
func IPOf(addr string) (string, bool) {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return "", false
	}
	ip, err := manet.ToIP(m)
	if err != nil {
		return "", false
	}
	return ip.String(), true
}
