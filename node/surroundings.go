package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

const (
	askPeers  = 3                // that dial back
	callPeers = 8                // that are called, at most
	lookLimit = 20 * time.Second // for all of them
)

// surroundings is what a host learns from its peers about itself.
type surroundings struct {
	Called    int               `json:"called"`
	Answer    int               `json:"answer"`
	Clocks    []time.Duration   `json:"clocks_ns"` // by how much peers' clocks are ahead
	Addresses []string          `json:"addresses"` // that were asked about
	Seen      [][]p2p.Seen      `json:"seen"`      // of each address, by who answered
	Errors    map[string]string `json:"errors,omitempty"`
}

// sights is what was seen, by address.
func (s surroundings) sights() (out []sight) {
	for i, a := range s.Addresses {
		if i < len(s.Seen) && len(s.Seen[i]) > 0 {
			out = append(out, sight{a, s.Seen[i]})
		}
	}
	return out
}

// lookAround calls nodes, and asks some of them to dial this host at addresses; without
// any, at those where it listens as far as others can dial them.
func lookAround(ctx context.Context, h *p2p.Host, addresses []string) surroundings {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if len(addresses) == 0 {
		addresses = p2p.Dialable(h.Addrs())
	}
	addresses = addresses[:min(len(addresses), p2p.MaxDialback)]
	out := surroundings{Addresses: addresses, Seen: make([][]p2p.Seen, len(addresses)), Errors: map[string]string{}}
	var mu sync.Mutex // guards out
	answer := out.call(ctx, h, &mu)
	rand.Shuffle(len(answer), func(i, j int) { answer[i], answer[j] = answer[j], answer[i] })
	var all sync.WaitGroup
	for i, p := range answer {
		ask := addresses
		if i >= askPeers {
			ask = nil // its clock will do
		}
		all.Go(func() {
			got, err := h.AskDialback(ctx, p, ask)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.Errors[p.String()] = err.Error()
				return
			}
			out.Clocks = append(out.Clocks, got.Clock)
			for i, seen := range got.Seen {
				out.Seen[i] = append(out.Seen[i], seen)
			}
		})
	}
	all.Wait()
	return out
}

// call makes sure of connections to some nodes, and returns who answers.
func (s *surroundings) call(ctx context.Context, h *p2p.Host, mu *sync.Mutex) (answer []peer.ID) {
	var list []peer.ID
	for p, hello := range h.Peers() {
		if hello.Ledger != "" { // a node: clients listen to nobody
			list = append(list, p)
		}
	}
	for _, b := range h.Bootstrap() {
		if b.ID != h.ID() && !slices.Contains(list, b.ID) {
			list = append(list, b.ID)
		}
	}
	list = list[:min(len(list), callPeers)]
	s.Called = len(list)
	var all sync.WaitGroup
	for _, p := range list {
		all.Go(func() {
			err := h.Connect(ctx, p, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.Errors[p.String()] = err.Error()
				return
			}
			answer = append(answer, p)
		})
	}
	all.Wait()
	s.Answer = len(answer)
	return answer
}
