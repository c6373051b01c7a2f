package token

import (
	"sync/atomic"

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
// there are nodes.
type blsHashes struct {
	kept   recent[blsHashed, bls.G2Affine]
	hashed atomic.Int64 // messages that were hashed, for tests
}

// blsHashed is what a point follows from.
type blsHashed struct{ suite, message string }

// hashes is of the whole process: a point follows from the message alone, whose ever it is.
var hashes = newBLSHashes()

func newBLSHashes() *blsHashes {
	return &blsHashes{kept: recent[blsHashed, bls.G2Affine]{each: blsHashesKept}}
}

// point is the point of a message.
func (c *blsHashes) point(message []byte, suite string) (bls.G2Affine, error) {
	k := blsHashed{suite, string(message)}
	if p, ok := c.kept.get(k); ok {
		return p, nil
	}
	c.hashed.Add(1)
	p, err := bls.HashToG2(message, []byte(suite))
	if err == nil && len(message) <= blsHashedBytes {
		c.kept.put(k, p)
	}
	return p, err
}
