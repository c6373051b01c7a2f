package p2p

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// slots bounds how much is done at once, in all and for one peer, so that no peer
// takes the whole of it.
type slots struct {
	most, each int

	mu    sync.Mutex // guards the fields below
	taken int
	of    map[peer.ID]int
}

func newSlots(most, each int) *slots { return &slots{most: most, each: each, of: map[peer.ID]int{}} }

// take takes a slot for p. release gives it back; calling it again does nothing.
func (s *slots) take(p peer.ID) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.of[p] >= s.each {
		return nil, false
	}
	s.taken++
	s.of[p]++
	return sync.OnceFunc(func() { s.give(p) }), true
}

func (s *slots) give(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.of[p]--; s.of[p] == 0 {
		delete(s.of, p)
	}
}
