package p2p

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Scope is from how far away an address can be dialed.
type Scope int

const (
	Nowhere  Scope = iota // 0.0.0.0 says where a host listens only; no address at all
	Machine               // loopback
	Site                  // private, link-local, or shared by the customers of a provider
	Anywhere              // public, or a name
)

func (s Scope) String() string {
	return [...]string{"no machine", "the same machine", "the same local network", "anywhere"}[s]
}

// carriers is the addresses that the customers of a provider share behind its NAT (RFC 6598).
var carriers = netip.MustParsePrefix("100.64.0.0/10")

// ScopeOf is the scope of a multiaddr. A relayed address has the scope of its relay.
func ScopeOf(addr string) Scope {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return Nowhere
	}
	ip, err := manet.ToIP(m)
	if err != nil {
		return Anywhere // a name
	}
	return scopeOfIP(ip)
}

// ScopeOfHost is the scope of the host in host:port.
func ScopeOfHost(address string) Scope {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return Nowhere
	}
	ip := net.ParseIP(host)
	switch {
	case ip != nil:
		return scopeOfIP(ip)
	case host == "localhost":
		return Machine
	}
	return Anywhere
}

func scopeOfIP(raw net.IP) Scope {
	ip, _ := netip.AddrFromSlice(raw)
	ip = ip.Unmap()
	switch {
	case !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast():
		return Nowhere
	case ip.IsLoopback():
		return Machine
	case ip.IsPrivate() || ip.IsLinkLocalUnicast() || carriers.Contains(ip):
		return Site
	}
	return Anywhere
}

// WidestScope is the scope of the address of a list that can be dialed from farthest away.
func WidestScope(addrs []string) (widest Scope) {
	for _, a := range addrs {
		widest = max(widest, ScopeOf(a))
	}
	return widest
}

// Dialable is those of a host's addresses that can be dialed from farthest away: private
// ones only where there is no public one, loopback only where there is no other.
func Dialable(addrs []string) (out []string) {
	widest := WidestScope(addrs)
	for _, a := range addrs {
		if s := ScopeOf(a); s == widest && s > Nowhere {
			out = append(out, a)
		}
	}
	return out
}

// WithPeer is an address that ends in /p2p/ and the peer ID. One that ends in
// another's is refused.
func WithPeer(addr, id string) (string, error) {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w (write it as /ip4/203.0.113.7/tcp/4001)", addr, err)
	}
	_, named := peer.SplitAddr(m) // not the peer ID of a relay on the way
	if named == "" {
		return addr + "/p2p/" + id, nil
	}
	if named.String() != id {
		return "", fmt.Errorf("address %q is that of another node, this one is %s", addr, id)
	}
	return addr, nil
}

// IPOf is the IP address in a multiaddr, if it has one. A relayed address has none: that in
// it is the relay's.
func IPOf(addr string) (string, bool) {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return "", false
	}
	ip, err := ipOf(m)
	return ip.String(), err == nil
}
