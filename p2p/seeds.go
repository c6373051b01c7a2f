package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

const (
	maxSeedAddrs = 64              // of one seed: what is in the DNS is not ours
	seedLimit    = 3 * time.Second // to look all of them up
)

// seeds is the names that stand for the first addresses of a network: /dnsaddr/NAME, whose
// TXT records at _dnsaddr.NAME say dnsaddr=/ip4/…/p2p/<peer ID>. So a network's first nodes
// can change without a new file for every client.
type seeds struct {
	names    []ma.Multiaddr
	resolver *madns.Resolver // nil: the system's

	mu    sync.Mutex // guards found
	found []peer.AddrInfo
}

// isSeed says whether an address is a name that stands for addresses.
func isSeed(m ma.Multiaddr) bool {
	return len(m) == 1 && m[0].Protocol().Code == ma.P_DNSADDR
}

// parseBootstrap reads bootstrap addresses: multiaddrs that end in /p2p/<peer ID>, and seeds.
func parseBootstrap(addrs []string) (infos []peer.AddrInfo, names []ma.Multiaddr, err error) {
	for _, a := range addrs {
		if m, err := ma.NewMultiaddr(a); err == nil && isSeed(m) {
			names = append(names, m)
			continue
		}
		info, err := peer.AddrInfoFromString(a)
		if err != nil {
			return nil, nil, fmt.Errorf("address %q: %w (write it as /ip4/203.0.113.7/tcp/4001/p2p/12D3Koo…, or /dnsaddr/NAME for a name with such addresses in the DNS)", a, err)
		}
		infos = append(infos, *info)
	}
	return infos, names, nil
}

// CheckBootstrap says whether a list of bootstrap addresses can be read.
func CheckBootstrap(addrs []string) error {
	_, _, err := parseBootstrap(addrs)
	return err
}

// look looks the seeds up. What was found before stays where nothing is found.
func (s *seeds) look(ctx context.Context) error {
	if len(s.names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, seedLimit)
	defer cancel()
	found, failed := make([][]peer.AddrInfo, len(s.names)), make([]error, len(s.names))
	var all sync.WaitGroup
	for i, name := range s.names {
		all.Go(func() { found[i], failed[i] = s.lookOne(ctx, name) })
	}
	all.Wait()
	out := slices.Concat(found...)
	if len(out) == 0 {
		return errors.Join(failed...)
	}
	s.mu.Lock()
	s.found = out
	s.mu.Unlock()
	return nil
}

func (s *seeds) lookOne(ctx context.Context, name ma.Multiaddr) (out []peer.AddrInfo, err error) {
	list, err := s.resolve(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", name, err)
	}
	for _, m := range list[:min(len(list), maxSeedAddrs)] {
		if info, err := peer.AddrInfoFromP2pAddr(m); err == nil {
			out = append(out, *info)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("look up %s: it has no TXT record dnsaddr=/ip4/…/p2p/… at _dnsaddr.%s", name, name[0].Value())
	}
	return out, nil
}

func (s *seeds) resolve(ctx context.Context, m ma.Multiaddr) ([]ma.Multiaddr, error) {
	if s.resolver != nil {
		return s.resolver.Resolve(ctx, m)
	}
	return madns.Resolve(ctx, m)
}

func (s *seeds) addrs() []peer.AddrInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// ResolveNames is addresses with the names in them replaced by the IP addresses that they
// stand for now. An address whose name is not found stays as it is.
func ResolveNames(ctx context.Context, addrs []string) (out []string) {
	for _, text := range addrs {
		var list []ma.Multiaddr
		m, err := ma.NewMultiaddr(text)
		if err == nil {
			list, err = madns.Resolve(ctx, m)
		}
		if err != nil || len(list) == 0 {
			out = append(out, text)
			continue
		}
		for _, a := range list {
			out = append(out, a.String())
		}
	}
	return out
}
