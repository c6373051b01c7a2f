package p2p

import (
	"context"
	"net"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ResolveNames is addresses with the names in them replaced by the IP addresses that they
// stand for now. An address whose name is not found stays as it is.
func ResolveNames(ctx context.Context, addrs []string) (out []string) {
	for _, text := range addrs {
		out = append(out, resolveName(ctx, text)...)
	}
	return out
}

func resolveName(ctx context.Context, text string) (out []string) {
	m, err := ma.NewMultiaddr(text)
	if err != nil || len(m) == 0 {
		return []string{text}
	}
	family, ok := map[int]string{ma.P_DNS: "ip", ma.P_DNS4: "ip4", ma.P_DNS6: "ip6"}[m[0].Protocol().Code]
	if !ok {
		return []string{text}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, family, m[0].Value())
	if err != nil {
		return []string{text}
	}
	for _, ip := range ips {
		if a, err := manet.FromIP(ip.Unmap().AsSlice()); err == nil {
			out = append(out, a.Encapsulate(m[1:]).String())
		}
	}
	return out
}
