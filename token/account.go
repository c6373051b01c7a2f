package token

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/decred/dcrd/bech32"
	"github.com/zeebo/blake3"
)

// ErrSignature is returned for a signature that its key did not make over that message.
var ErrSignature = errors.New("signature does not match")

// addressPrefix makes an address readable: wal1….
const addressPrefix = "wal"

// Address names an account: the first 20 bytes of BLAKE3 of its public key. Its
// text form is bech32 with a checksum.
type Address [20]byte

// ParseAddress reads the text form; the checksum finds a mistyped letter.
func ParseAddress(s string) (Address, error) {
	var a Address
	prefix, words, err := bech32.Decode(strings.TrimSpace(s))
	if err != nil {
		return a, fmt.Errorf("address %q: %w", s, err)
	}
	b, err := bech32.ConvertBits(words, 5, 8, false)
	if err != nil || prefix != addressPrefix || len(b) != len(a) {
		return a, fmt.Errorf("address %q: not one of this network (they begin with %s1)", s, addressPrefix)
	}
	return Address(b), nil
}

// String is the bech32 form.
func (a Address) String() string {
	words, err := bech32.ConvertBits(a[:], 8, 5, true)
	if err != nil {
		panic(err) // only for input that is not bytes
	}
	s, err := bech32.Encode(addressPrefix, words)
	if err != nil {
		panic(err)
	}
	return s
}

// MarshalText and UnmarshalText make an address its bech32 form in JSON and TOML.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the text form.
func (a *Address) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAddress(string(b))
	return err
}

// PublicKey is an ed25519 public key.
type PublicKey [ed25519.PublicKeySize]byte

// String is the key in hex.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// Address is the account the key speaks for.
func (k PublicKey) Address() (a Address) {
	sum := blake3.Sum256(k[:])
	copy(a[:], sum[:])
	return a
}

// Verify checks sig over message.
func (k PublicKey) Verify(message []byte, sig Signature) error {
	if !ed25519.Verify(k[:], message, sig[:]) {
		return ErrSignature
	}
	return nil
}

// Signature is an ed25519 signature.
type Signature [ed25519.SignatureSize]byte

// Key is an ed25519 private key. It has no text form, so that no log shows one.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes a key from a source of randomness, usually crypto/rand.Reader.
func NewKey(random io.Reader) (Key, error) {
	_, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	return Key{private}, nil
}

// KeyFromSeed is the key of a 32-byte seed.
func KeyFromSeed(seed [32]byte) Key { return Key{ed25519.NewKeyFromSeed(seed[:])} }

// Seed is what a wallet keeps.
func (k Key) Seed() [32]byte { return [32]byte(k.private.Seed()) }

// Public is the public half.
func (k Key) Public() PublicKey { return PublicKey(k.private.Public().(ed25519.PublicKey)) }

// Address is the account the key speaks for.
func (k Key) Address() Address { return k.Public().Address() }

// Sign signs message, which Message made.
func (k Key) Sign(message []byte) Signature { return Signature(ed25519.Sign(k.private, message)) }

// Ed25519 is the key as the standard library and the transports want it.
func (k Key) Ed25519() ed25519.PrivateKey { return k.private }

// String hides the key.
func (k Key) String() string { return "private key of " + k.Address().String() }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }
