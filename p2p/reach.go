package p2p

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"
)

// Ways in which peers reach a host.
const (
	ReachUnknown Reachability = ""       // no peer has tried yet
	ReachDirect  Reachability = "direct" // peers dial it
	ReachRelayed Reachability = "relayed"
	ReachNone    Reachability = "none" // peers do not reach it, and no relay serves it yet
)

// Reachability is how peers reach a host.
type Reachability string

// How often peers are asked whether they reach the host.
const (
	reachAsk      = 3                // peers that are asked
	reachSoon     = 2 * time.Second  // where no peer could be asked
	reachAgain    = 5 * time.Minute  // where none reaches it: its router may change
	reachCalm     = 30 * time.Minute // where they do
	reachAskLimit = 20 * time.Second
)

// reach is what a host knows of how peers reach it.
type reach struct {
	mu     sync.Mutex // guards the fields below
	record []ma.Multiaddr
	direct Reachability // ReachUnknown, ReachDirect or ReachNone
	failed map[string]bool
}

// announced is the addresses that peers are told of: those of this host, less those at
// which peers failed to reach it, and those of its record that they reached.
func (r *reach) announced(own []ma.Multiaddr) []ma.Multiaddr {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.DeleteFunc(slices.Clone(own), func(a ma.Multiaddr) bool { return r.failed[string(a.Bytes())] })
	if r.direct == ReachDirect {
		for _, a := range r.record {
			if !relayed(a) && !r.failed[string(a.Bytes())] {
				out = append(out, a)
			}
		}
	}
	return ma.Unique(out)
}

// relaysOfRecord is the relays that the host's record on the ledger names.
func (r *reach) relaysOfRecord() (out []peer.AddrInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.record {
		if relay, ok := relayOf(a); ok {
			if i := slices.IndexFunc(out, func(x peer.AddrInfo) bool { return x.ID == relay.ID }); i >= 0 {
				out[i].Addrs = append(out[i].Addrs, relay.Addrs...)
			} else {
				out = append(out, relay)
			}
		}
	}
	return out
}

// Reachability is how peers reach this host, as they said when last asked.
func (h *Host) Reachability() Reachability {
	h.reach.mu.Lock()
	direct := h.reach.direct
	h.reach.mu.Unlock()
	if direct == ReachNone && slices.ContainsFunc(h.libp2p.Addrs(), relayed) {
		return ReachRelayed
	}
	return direct
}

// KeepReachable finds out, again and again until ctx ends, whether peers reach this host
// where it listens or where its record on the ledger says. Where they do, it relays for
// others; where they do not, it looks for relays. A host that was not made Reachable does
// nothing. Addresses of the record that do not parse are left out.
func (h *Host) KeepReachable(ctx context.Context, record func() []string) error {
	if !h.reachable {
		return nil
	}
	changed, err := h.libp2p.EventBus().Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
	if err != nil {
		return fmt.Errorf("watch how peers reach this host: %w", err)
	}
	defer changed.Close()
	for {
		h.reach.mu.Lock()
		was := h.reach.direct
		h.reach.record = multiaddrs(record())
		h.reach.mu.Unlock()
		is := h.askReach(ctx)
		wait := reachCalm
		switch is {
		case ReachUnknown:
			wait = reachSoon
		case ReachNone:
			wait = reachAgain
		}
		if is != was && is != ReachUnknown {
			h.tellReach(is)
			to := network.ReachabilityPublic
			if is == ReachNone {
				to = network.ReachabilityPrivate
			}
			if err := changed.Emit(event.EvtLocalReachabilityChanged{Reachability: to}); err != nil {
				return fmt.Errorf("tell how peers reach this host: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (h *Host) tellReach(is Reachability) {
	if is == ReachNone {
		h.log.Warn("peers do not reach this node where it listens: it looks for relays, and its router should forward the port", "addresses", h.candidates())
		return
	}
	h.log.Info("peers reach this node", "addresses", h.Addrs())
}

// candidates is the addresses where peers may reach this host directly.
func (h *Host) candidates() []string {
	var all []string
	if own, ok := h.libp2p.(interface{ AllAddrs() []ma.Multiaddr }); ok {
		for _, a := range own.AllAddrs() {
			all = append(all, a.String())
		}
	}
	h.reach.mu.Lock()
	for _, a := range h.reach.record {
		all = append(all, a.String())
	}
	h.reach.mu.Unlock()
	all = slices.DeleteFunc(all, Relayed)
	all = Dialable(all)
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), MaxDialback)]
}

// askReach asks some peers to dial this host, and remembers where they failed.
func (h *Host) askReach(ctx context.Context) Reachability {
	ctx, cancel := context.WithTimeout(ctx, reachAskLimit)
	defer cancel()
	addresses := h.candidates()
	seen := h.askSome(ctx, addresses)
	is, failed := judgeReach(addresses, seen)
	if is == ReachUnknown {
		return is
	}
	h.reach.mu.Lock()
	defer h.reach.mu.Unlock()
	h.reach.direct, h.reach.failed = is, failed
	return is
}

// witnesses is the nodes whose word on how peers reach this host counts, in the order of
// Nodes: those of the ledger, and those of the bootstrap list, which alone are known before
// the ledger is. Any other peer may call itself a node.
func (h *Host) witnesses() []peer.ID {
	first := h.Bootstrap()
	return slices.DeleteFunc(h.Nodes(), func(p peer.ID) bool {
		return h.standingOf(p) == Stranger && !slices.ContainsFunc(first, func(b peer.AddrInfo) bool { return b.ID == p })
	})
}

// askSome asks some nodes to dial addresses. Each answer has a
// report for each address.
func (h *Host) askSome(ctx context.Context, addresses []string) (out [][]AddressReport) {
	list := h.witnesses()
	var mu sync.Mutex // guards out
	var all sync.WaitGroup
	for _, p := range list[:min(len(list), reachAsk)] {
		all.Go(func() {
			got, err := h.AskDialback(ctx, p, addresses)
			if err != nil {
				return
			}
			mu.Lock()
			out = append(out, got.Seen)
			mu.Unlock()
		})
	}
	all.Wait()
	return out
}

// judgeReach tells from peers' reports whether they reach a host. An address is good if
// more peers reached it than failed: a single peer that lies decides nothing.
func judgeReach(addresses []string, answers [][]AddressReport) (is Reachability, failed map[string]bool) {
	if len(answers) == 0 {
		return ReachUnknown, nil
	}
	is, failed = ReachNone, map[string]bool{}
	for i, text := range addresses {
		reached, missed := 0, 0
		for _, seen := range answers {
			switch seen[i].Reach {
			case Reached:
				reached++
			case NotReached:
				missed++
			}
		}
		switch a, err := ma.NewMultiaddr(text); {
		case reached > missed:
			is = ReachDirect
		case missed > reached && err == nil:
			failed[string(a.Bytes())] = true
		}
	}
	return is, failed
}

// multiaddrs reads addresses, without the peer ID at their end.
func multiaddrs(addrs []string) (out []ma.Multiaddr) {
	for _, text := range addrs {
		if m, err := ma.NewMultiaddr(text); err == nil {
			if a, _ := peer.SplitAddr(m); len(a) > 0 {
				out = append(out, a)
			}
		}
	}
	return out
}
