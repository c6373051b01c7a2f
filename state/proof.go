package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// MaxProof bounds the bytes of a proof from a stranger. One of a tree of 2^20
// buckets that is filled as meant has about 800.
const MaxProof = 2 << 20

// ErrProof is returned for a proof that does not show what it should.
var ErrProof = errors.New("proof does not lead to the ledger's root")

// Proof shows what a key holds, or that it holds nothing: the whole bucket that
// the key belongs to, the value if there is one, and the path of the bucket.
type Proof struct {
	_      struct{} `cbor:",toarray"`
	Bucket []ProofSlot
	Value  []byte
	Path   []blob.Hash
}

// ProofSlot is a key and the hash of its value.
type ProofSlot = slot

// Encode is the canonical bytes.
func (p Proof) Encode() []byte { return canon.Encode(p) }

// DecodeProof reads a proof from a stranger.
func DecodeProof(b []byte) (Proof, error) {
	var p Proof
	if len(b) > MaxProof {
		return p, fmt.Errorf("proof of %d bytes: %w", len(b), ErrProof)
	}
	if err := canon.Decode(b, &p); err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return p, nil
}

// Prove makes the proof of a key at a height that is kept.
func (s *State) Prove(height uint64, key []byte) (Proof, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.has(height); err != nil {
		return Proof{}, err
	}
	b := BucketOf(s.salt, s.tree.buckets(), key)
	content, err := s.bucketAt(height, b)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Bucket: content}
	if _, ok := content.find(key); ok {
		if p.Value, _, err = s.get(height, key); err != nil {
			return Proof{}, err
		}
	}
	for i := uint32(s.tree.buckets() + b); i > 1; i /= 2 {
		p.Path = append(p.Path, s.nodeAt(height, i^1))
	}
	return p, nil
}

// Verify checks the proof against a root and returns what the key holds; ok is
// false where it shows that the key holds nothing.
func (p Proof) Verify(root blob.Hash, salt [32]byte, buckets int, key []byte) (value []byte, ok bool, err error) {
	if err := CheckBuckets(buckets); err != nil {
		return nil, false, err
	}
	b := BucketOf(salt, buckets, key)
	for i, s := range p.Bucket {
		if i > 0 && bytes.Compare(p.Bucket[i-1].Key, s.Key) >= 0 || BucketOf(salt, buckets, s.Key) != b {
			return nil, false, fmt.Errorf("bucket %d is not in order: %w", b, ErrProof)
		}
	}
	content := bucket(p.Bucket)
	got, err := blob.Climb(content.hash(), b, buckets, p.Path)
	if err != nil || got != root {
		return nil, false, fmt.Errorf("bucket %d: %w", b, ErrProof)
	}
	i, there := content.find(key)
	switch {
	case there && blob.Leaf(p.Value) != content[i].Hash, !there && len(p.Value) > 0:
		return nil, false, fmt.Errorf("bucket %d: not the value of the key: %w", b, ErrProof)
	case !there:
		return nil, false, nil
	}
	return p.Value, true, nil
}
