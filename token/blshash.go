package token

import (
	"sync"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
)

// blsHashesKept is how many points each of the two generations of blsHashes holds, and
// blsHashedBytes the longest message that is kept with its point: 1.3 MB in all at most.
const (
	blsHashesKept  = 512
	blsHashedBytes = 1 << 10
)

// blsHashes keeps the points of G2 that messages were hashed to. That costs 0.4 ms, a third
// of a check and half of a signature, and the same message comes again: a node signs what it
// later finds in a certificate, and a client checks as many signatures over one message as
// there are nodes. It only saves work: what is forgotten is hashed again.
type blsHashes struct {
	mu       sync.Mutex // guards the fields below
	now, old map[blsHashed]bls.G2Affine
	hashed   int // messages that were hashed, for tests
}

// blsHashed is what a point follows from.
type blsHashed struct{ suite, message string }

// hashes is of the whole process: a point follows from the message alone, whose ever it is.
var hashes blsHashes

// point is the point of a message.
func (c *blsHashes) point(message []byte, suite string) (bls.G2Affine, error) {
	k := blsHashed{suite, string(message)}
	c.mu.Lock()
	p, ok := c.now[k]
	if !ok {
		p, ok = c.old[k]
	}
	c.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := bls.HashToG2(message, []byte(suite))
	if err != nil {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hashed++
	if len(message) > blsHashedBytes {
		return p, nil
	}
	if c.now == nil || len(c.now) >= blsHashesKept {
		c.old, c.now = c.now, make(map[blsHashed]bls.G2Affine, blsHashesKept)
	}
	c.now[k] = p
	return p, nil
}
