package token

import bls "github.com/consensys/gnark-crypto/ecc/bls12-381"

// blsKeysKept is how many decoded keys each of the two generations of BLSKeys holds:
// those of the largest committee, twice.
const blsKeysKept = 2048

// BLSKeys keeps public keys that were decoded. Decoding one costs about 75 us (a square
// root and a check of the subgroup), more than all else in a certificate of a hundred
// signers.
type BLSKeys struct {
	kept recent[BLSPublicKey, bls.G1Affine]
}

// NewBLSKeys is empty.
func NewBLSKeys() *BLSKeys { return &BLSKeys{recent[BLSPublicKey, bls.G1Affine]{each: blsKeysKept}} }

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
	if p, ok := c.kept.get(k); ok {
		return p, nil
	}
	p, err := k.point()
	if err == nil {
		c.kept.put(k, p)
	}
	return p, err
}
