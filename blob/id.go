package blob

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// ID names a blob: the digest of its manifest. Its text form is CIDv1(dag-cbor, blake3-256);
// the form that Walrus applications know, Base64, is read too.
type ID Hash

// Address names stored bytes: their digest. Its text form is CIDv1(raw, blake3-256).
type Address Hash

// AddressOf is the address of b.
func AddressOf(b []byte) Address { return Address(Leaf(b)) }

// base64Text is the characters of 32 bytes in base64url without padding. No CID is so short.
const base64Text = 43

// ParseID reads a blob ID in either of its forms: the CID, or 43 characters of base64url.
func ParseID(s string) (ID, error) {
	if len(s) == base64Text {
		b, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil || len(b) != len(ID{}) {
			return ID{}, fmt.Errorf("blob ID %q: not base64url of 32 bytes", s)
		}
		return ID(b), nil
	}
	h, err := parseCID(s, cid.DagCBOR)
	if err != nil {
		return ID{}, fmt.Errorf("blob ID %q: %w", s, err)
	}
	return ID(h), nil
}

// ParseAddress reads the text form of a fragment address.
func ParseAddress(s string) (Address, error) {
	h, err := parseCID(s, cid.Raw)
	if err != nil {
		return Address{}, fmt.Errorf("fragment address %q: %w", s, err)
	}
	return Address(h), nil
}

func parseCID(s string, codec uint64) (Hash, error) {
	c, err := cid.Decode(s)
	if err != nil {
		return Hash{}, err
	}
	mh, err := multihash.Decode(c.Hash())
	if err != nil {
		return Hash{}, err
	}
	if c.Version() != 1 || c.Type() != codec || mh.Code != multihash.BLAKE3 || mh.Length != len(Hash{}) {
		return Hash{}, fmt.Errorf("a CID of another kind (version %d, codec 0x%x, hash 0x%x)", c.Version(), c.Type(), mh.Code)
	}
	return Hash(mh.Digest), nil
}

func formCID(h Hash, codec uint64) cid.Cid {
	mh, err := multihash.Encode(h[:], multihash.BLAKE3)
	if err != nil {
		panic(err) // only for an unknown hash code
	}
	return cid.NewCidV1(codec, mh)
}

// CID is the ID in the form other content-addressed systems read.
func (id ID) CID() cid.Cid { return formCID(Hash(id), cid.DagCBOR) }

// String is the base32 CID, bafy….
func (id ID) String() string { return id.CID().String() }

// Base64 is the ID as Walrus applications write it: the digest in base64url without padding,
// 43 characters. It may begin with a hyphen.
func (id ID) Base64() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// MarshalText and UnmarshalText make an ID its CID in JSON and TOML.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the text form.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// CID is the address in the form other content-addressed systems read.
func (a Address) CID() cid.Cid { return formCID(Hash(a), cid.Raw) }

// String is the base32 CID, bafk….
func (a Address) String() string { return a.CID().String() }

// Shard is the number of one of the N places of the network.
type Shard uint16

// Place is the number of one of the N rows and columns of a blob.
type Place uint16

// ShardOf is the shard that keeps place p of the blob: (p + the digest's first eight bytes) mod n.
func (id ID) ShardOf(p Place, n int) Shard {
	return Shard((uint64(p) + id.rotation(n)) % uint64(n))
}

// PlaceOf is the place of the blob that shard s keeps: the inverse of ShardOf.
func (id ID) PlaceOf(s Shard, n int) Place {
	return Place((uint64(s) + uint64(n) - id.rotation(n)) % uint64(n))
}

func (id ID) rotation(n int) uint64 { return binary.BigEndian.Uint64(id[:8]) % uint64(n) }

// Axis is the direction of a fragment.
type Axis uint8

const (
	Row    Axis = 0 // K2 source symbols, F parity
	Column Axis = 1 // K1 source symbols, 2F parity
)

// Cross is the other axis.
func (a Axis) Cross() Axis { return 1 - a }

// String is "row" or "column".
func (a Axis) String() string {
	if a == Row {
		return "row"
	}
	return "column"
}

// Position names one fragment: of which blob, which stripe, which place, along which axis.
type Position struct {
	Blob   ID
	Stripe uint32
	Place  Place
	Axis   Axis
}

// String is for logs and errors.
func (p Position) String() string {
	return fmt.Sprintf("%s stripe %d %s %d", p.Blob, p.Stripe, p.Axis, p.Place)
}
