package token

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
)

// Ciphersuites of draft-irtf-cfrg-bls-signature-05, section 4.2.3 (minimal public
// keys, proof of possession).
const (
	blsSignatureSuite  = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
	blsPossessionSuite = "BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
)

// ErrBLSKey is returned for bytes that are not a usable BLS public key.
var ErrBLSKey = errors.New("not a valid BLS public key")

// BLSPublicKey is a compressed point of G1.
type BLSPublicKey [48]byte

// BLSSignature is a compressed point of G2: one signature, or the sum of many over one message.
type BLSSignature [96]byte

// String is the key in hex.
func (k BLSPublicKey) String() string { return hex.EncodeToString(k[:]) }

// BLSKey signs confirmations.
type BLSKey struct {
	scalar big.Int
	public BLSPublicKey
}

// blsKeyFromScalar is the key of a scalar in 1..r-1.
func blsKeyFromScalar(s *big.Int) BLSKey {
	_, _, g1, _ := bls.Generators()
	var p bls.G1Affine
	p.ScalarMultiplication(&g1, s)
	k := BLSKey{public: BLSPublicKey(p.Bytes())}
	k.scalar.Set(s)
	return k
}

// Public is the public half.
func (k BLSKey) Public() BLSPublicKey { return k.public }

// String hides the key.
func (k BLSKey) String() string { return "private BLS key of " + k.public.String() }

// GoString hides the key.
func (k BLSKey) GoString() string { return k.String() }

// Sign signs message, which Message made.
func (k BLSKey) Sign(message []byte) BLSSignature { return k.sign(message, blsSignatureSuite) }

// ProvePossession signs message under the suite for proofs of possession, so that
// no such proof can pass for an ordinary signature. Without one, a key made from
// others' keys could claim their share of an aggregate.
func (k BLSKey) ProvePossession(message []byte) BLSSignature {
	return k.sign(message, blsPossessionSuite)
}

func (k BLSKey) sign(message []byte, suite string) BLSSignature {
	h, err := hashes.point(message, suite)
	if err != nil {
		panic(err) // only for a suite longer than 255 bytes
	}
	var s bls.G2Affine
	s.ScalarMultiplication(&h, &k.scalar)
	return BLSSignature(s.Bytes())
}

// Verify checks one signature over message.
func (k BLSPublicKey) Verify(message []byte, sig BLSSignature) error {
	return verifyBLS(nil, []BLSPublicKey{k}, message, sig, blsSignatureSuite)
}

// VerifyPossession checks a proof of possession. A genesis has one for each node, and a process
// checks it several times: proofs that held are remembered.
func (k BLSPublicKey) VerifyPossession(message []byte, sig BLSSignature) error {
	h := sha256.New()
	h.Write(k[:])
	h.Write(sig[:])
	h.Write(message)
	proof := [sha256.Size]byte(h.Sum(nil))
	if _, held := possessions.get(proof); held {
		return nil
	}
	err := verifyBLS(nil, []BLSPublicKey{k}, message, sig, blsPossessionSuite)
	if err == nil {
		possessions.put(proof, struct{}{})
	}
	return err
}

// possessions is the proofs of possession that held, by the hash of key, proof and message.
var possessions = &recent[[sha256.Size]byte, struct{}]{each: blsKeysKept}

// VerifyAggregate checks that every one of keys signed the same message. The keys
// must have proven possession before. It says nothing of the parts: several wrong
// ones can add up to a right whole.
func VerifyAggregate(keys []BLSPublicKey, message []byte, sig BLSSignature) error {
	return verifyBLS(nil, keys, message, sig, blsSignatureSuite)
}

func verifyBLS(kept *BLSKeys, keys []BLSPublicKey, message []byte, sig BLSSignature, suite string) error {
	if len(keys) == 0 {
		return fmt.Errorf("no signers: %w", ErrSignature)
	}
	var sum bls.G1Jac
	for _, k := range keys {
		p, err := kept.point(k)
		if err != nil {
			return err
		}
		sum.AddMixed(&p)
	}
	var key bls.G1Affine
	key.FromJacobian(&sum)
	s, err := sig.point()
	if err != nil {
		return err
	}
	if key.IsInfinity() || s.IsInfinity() {
		return ErrSignature
	}
	h, err := hashes.point(message, suite)
	if err != nil {
		return err
	}
	_, _, g1, _ := bls.Generators()
	var minus bls.G1Affine
	minus.Neg(&g1)
	ok, err := bls.PairingCheck([]bls.G1Affine{key, minus}, []bls.G2Affine{h, s})
	if err != nil || !ok {
		return ErrSignature
	}
	return nil
}

// AggregateBLS adds signatures over one message.
func AggregateBLS(sigs []BLSSignature) (BLSSignature, error) {
	if len(sigs) == 0 {
		return BLSSignature{}, fmt.Errorf("aggregate of nothing: %w", ErrSignature)
	}
	var sum bls.G2Jac
	for _, s := range sigs {
		p, err := s.point()
		if err != nil {
			return BLSSignature{}, err
		}
		sum.AddMixed(&p)
	}
	var out bls.G2Affine
	out.FromJacobian(&sum)
	return BLSSignature(out.Bytes()), nil
}

// Check says whether the key is a point of the right group and not the identity.
func (k BLSPublicKey) Check() error {
	_, err := k.point()
	return err
}

func (k BLSPublicKey) point() (p bls.G1Affine, err error) {
	// SetBytes checks the curve and the subgroup of compressed points.
	if _, err := p.SetBytes(k[:]); err != nil || p.IsInfinity() || p.Bytes() != k {
		return p, ErrBLSKey
	}
	return p, nil
}

func (s BLSSignature) point() (p bls.G2Affine, err error) {
	if _, err := p.SetBytes(s[:]); err != nil || p.Bytes() != s {
		return p, ErrSignature
	}
	return p, nil
}

// Secret is the one secret of a node; its keys derive from it.
type Secret [32]byte

// NewSecret makes a secret from a source of randomness.
func NewSecret(random io.Reader) (s Secret, err error) {
	if _, err := io.ReadFull(random, s[:]); err != nil {
		return s, fmt.Errorf("make a secret: %w", err)
	}
	return s, nil
}

// String hides the secret.
func (s Secret) String() string { return "node secret" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// Key is the node's ed25519 key: its name on the network and its vote on the ledger.
func (s Secret) Key() Key { return KeyFromSeed([32]byte(s.derive("walrus/ed25519", 32))) }

// BLSKey is the key that signs the node's confirmations. Its scalar is 48 derived
// bytes mod the group order, so that the bias is below 2^-128.
func (s Secret) BLSKey() BLSKey {
	n := new(big.Int).SetBytes(s.derive("walrus/bls", 48))
	n.Mod(n, fr.Modulus())
	if n.Sign() == 0 {
		panic("token: a secret whose BLS scalar is zero: one in 2^255")
	}
	return blsKeyFromScalar(n)
}

func (s Secret) derive(info string, size int) []byte {
	b, err := hkdf.Key(sha256.New, s[:], nil, info, size)
	if err != nil {
		panic(err) // only for more output than the hash allows
	}
	return b
}
