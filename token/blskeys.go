package token

import (
	"sync"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
)

// blsKeysKept is how many decoded keys each of the two generations of BLSKeys holds:
// those of the largest committee, twice.
const blsKeysKept = 2048

// BLSKeys keeps public keys that were decoded. Decoding one costs about 75 us (a square
// root and a check of the subgroup), more than all else in a certificate of a hundred
// signers. It only saves work: what is forgotten is decoded again.
type BLSKeys struct {
	mu       sync.Mutex // guards the fields below
	now, old map[BLSPublicKey]bls.G1Affine
}

// NewBLSKeys is empty.
func NewBLSKeys() *BLSKeys { return &BLSKeys{now: map[BLSPublicKey]bls.G1Affine{}} }

// VerifyAggregate is VerifyAggregate of this package, with the keys that are kept.
func (c *BLSKeys) VerifyAggregate(keys []BLSPublicKey, message []byte, sig BLSSignature) error {
	return verifyBLS(c, keys, message, sig, blsSignatureSuite)
}

// Verify checks one signature over message.
func (c *BLSKeys) Verify(k BLSPublicKey, message []byte, sig BLSSignature) error {
	return verifyBLS(c, []BLSPublicKey{k}, message, sig, blsSignatureSuite)
}

// point is a key decoded. A nil c keeps nothing.
func (c *BLSKeys) point(k BLSPublicKey) (bls.G1Affine, error) {
	if c == nil {
		return k.point()
	}
	c.mu.Lock()
	p, ok := c.now[k]
	if !ok {
		p, ok = c.old[k]
	}
	c.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := k.point()
	if err != nil {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.now) >= blsKeysKept {
		c.old, c.now = c.now, make(map[BLSPublicKey]bls.G1Affine, blsKeysKept)
	}
	c.now[k] = p
	return p, nil
}
