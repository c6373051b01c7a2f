package node

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
)

const (
	askPeers  = 3                // peers that are asked to dial back
	callPeers = 8                // nodes that are called, at most
	lookLimit = 20 * time.Second // for all of it
)

// Surroundings is a host's view of the network, and its peers' view of the host.
type Surroundings struct {
	Called    int                   `json:"called"`           // nodes that were called
	Answer    int                   `json:"answer"`           // nodes of these that answered
	Clocks    []time.Duration       `json:"clocks_ns"`        // peer's clock - this machine's, one per peer
	Addresses []string              `json:"addresses"`        // addresses that peers were asked to dial
	Seen      [][]p2p.AddressReport `json:"seen"`             // for each address: one result per peer
	Errors    map[string]string     `json:"errors,omitempty"` // by peer
}

// LookAround calls nodes, and asks some of them to dial this host at addresses; with no
// addresses, at those where the host listens and that others can dial. Names are looked up:
// peers dial IP addresses alone. It takes up to
// 20 s. A peer's failure is part of the result.
func LookAround(ctx context.Context, h *p2p.Host, addresses []string) Surroundings {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if len(addresses) == 0 {
		addresses = p2p.Dialable(h.Addrs())
	}
	addresses = p2p.ResolveNames(ctx, addresses)
	addresses = addresses[:min(len(addresses), p2p.MaxDialback)]
	out := Surroundings{Addresses: addresses, Seen: make([][]p2p.AddressReport, len(addresses)), Errors: map[string]string{}}
	var mu sync.Mutex // guards out
	answer := out.call(ctx, h, &mu)
	rand.Shuffle(len(answer), func(i, j int) { answer[i], answer[j] = answer[j], answer[i] })
	var all sync.WaitGroup
	for i, p := range answer {
		ask := addresses
		if i >= askPeers {
			ask = nil // only its clock is asked for
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

// call connects to some nodes, and returns those that answer.
func (s *Surroundings) call(ctx context.Context, h *p2p.Host, mu *sync.Mutex) (answer []peer.ID) {
	list := h.Nodes()
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
