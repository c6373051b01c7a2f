package ledger

import (
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// seenSize is how many hashes each of the two generations holds.
const seenSize = 1 << 15

// seen remembers which transactions' signatures were verified, so that each is
// verified once by a node though it is checked in the mempool and again in a block.
// It only ever saves work: what is forgotten is verified again.
type seen struct {
	mu       sync.Mutex // guards the fields below
	now, old map[blob.Hash]struct{}
}

func newSeen() *seen { return &seen{now: map[blob.Hash]struct{}{}} }

func (s *seen) has(h blob.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.now[h]; ok {
		return true
	}
	_, ok := s.old[h]
	return ok
}

func (s *seen) add(h blob.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= seenSize {
		s.old, s.now = s.now, make(map[blob.Hash]struct{}, seenSize)
	}
	s.now[h] = struct{}{}
}
