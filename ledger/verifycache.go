package ledger

import (
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// seenSize is how many hashes each of the two generations holds.
const seenSize = 1 << 15

// verifyCache remembers what was found of signatures and proofs whose bytes alone decide it, so
// that a node verifies each once, though it meets it in the mempool and again in blocks:
// right ones and wrong ones. It only saves work: what is forgotten is verified again.
type verifyCache struct {
	mu       sync.Mutex // guards the fields below
	now, old map[blob.Hash]error
}

func newVerifyCache() *verifyCache { return &verifyCache{now: map[blob.Hash]error{}} }

// once is what verify finds, or found before for the same hash.
func (s *verifyCache) once(h blob.Hash, verify func() error) error {
	if found, ok := s.get(h); ok {
		return found
	}
	err := verify()
	s.put(h, err)
	return err
}

func (s *verifyCache) get(h blob.Hash) (found error, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok = s.now[h]; !ok {
		found, ok = s.old[h]
	}
	return found, ok
}

func (s *verifyCache) put(h blob.Hash, found error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= seenSize {
		s.old, s.now = s.now, make(map[blob.Hash]error, seenSize)
	}
	s.now[h] = found
}

// has says whether something was found right.
func (s *verifyCache) has(h blob.Hash) bool {
	found, ok := s.get(h)
	return ok && found == nil
}

func (s *verifyCache) add(h blob.Hash) { s.put(h, nil) }
