package state

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// MaxProof bounds the bytes of a proof from a stranger: the longest value, and a branch
// at every bit. Without its value, a proof has about 800 bytes at 10^6 keys in 2^20
// buckets, and about 1.4 KB if 10^5 keys were ground into its bucket.
const MaxProof = maxValue + 16<<10

// ErrProof is returned for a proof that does not show what it should.
var ErrProof = errors.New("proof does not lead to the ledger's root")

// Proof shows what a key holds, or that it holds nothing: the leaf to which the bits of
// the key's hash lead in its bucket's trie, and the way from there up. If the key is
// anywhere it is that leaf, so another leaf, or an empty bucket, shows that it is
// nowhere. A root and a key have one proof.
type Proof struct {
	_        struct{}    `cbor:",toarray"`
	Leaf     []blob.Hash // of its key, and of its value; nothing where the bucket is empty
	Value    []byte      // of the key, if it is there
	Branches []byte      // the bit at which each branch on the way parts, the lowest first
	Path     []blob.Hash // the siblings at the branches, then those above the bucket, lowest first
}

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
func (s *State) Prove(height unit.Height, key []byte) (Proof, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.has(height); err != nil {
		return Proof{}, err
	}
	hashed := hashKey(s.salt, key)
	b := bucketOf(hashed, s.tree.buckets())
	found, way, err := s.find(height, b, hashed)
	if err != nil {
		return Proof{}, err
	}
	var p Proof
	for _, w := range slices.Backward(way) {
		p.Branches = append(p.Branches, w.bit)
		p.Path = append(p.Path, w.sibling)
	}
	for i := uint32(s.tree.buckets() + b); i > 1; i /= 2 {
		p.Path = append(p.Path, s.nodeAt(height, i^1))
	}
	if found == nil {
		return p, nil
	}
	p.Leaf = []blob.Hash{found.key, found.value}
	if found.key != hashed {
		return p, nil
	}
	value, ok, err := s.get(height, key)
	if err == nil && (!ok || blob.Leaf(value) != found.value) {
		err = fmt.Errorf("value of key %x: %w", key, ErrCorrupt)
	}
	p.Value = value
	return p, err
}

// find is the leaf of a bucket to which a key's bits lead at a height, nil in an empty
// bucket, and the branches above it, highest first. It needs mu held.
func (s *State) find(height unit.Height, bucket int, key blob.Hash) (*leaf, []step, error) {
	read := pages(func(at place) ([]byte, error) { return s.pageAt(height, at) })
	at, want := placeOf(bucket), s.nodeAt(height, uint32(s.tree.buckets()+bucket))
	if want == (blob.Hash{}) {
		return nil, nil, nil
	}
	var way []step
	for {
		p, err := read.load(at, want)
		if err != nil {
			return nil, nil, err
		}
		var k int
		k, way = descend(p.twigs(nil, at.level()), key, way)
		if len(p.leaves) > 0 {
			return &p.leaves[k], way, nil
		}
		at, want = at.below(p.children[k].slot), p.children[k].hash
	}
}

// Lacks says whether the value of a key that is there was left out of the proof, and
// which hash it has: a value may be too long to travel in one message.
func (p Proof) Lacks(salt [32]byte, key []byte) (blob.Hash, bool) {
	if len(p.Leaf) != 2 || p.Leaf[0] != hashKey(salt, key) || len(p.Value) > 0 || p.Leaf[1] == blob.Leaf(nil) {
		return blob.Hash{}, false
	}
	return p.Leaf[1], true
}

// Verify checks the proof against a root and returns what the key holds; ok is
// false where it shows that the key holds nothing.
func (p Proof) Verify(root blob.Hash, salt [32]byte, buckets int, key []byte) (value []byte, ok bool, err error) {
	if err := CheckBuckets(buckets); err != nil {
		return nil, false, err
	}
	hashed := hashKey(salt, key)
	b := bucketOf(hashed, buckets)
	fail := func(why string) ([]byte, bool, error) {
		return nil, false, fmt.Errorf("bucket %d: %s: %w", b, why, ErrProof)
	}
	if len(p.Path) != len(p.Branches)+bits.Len(uint(buckets))-1 {
		return fail("the path has another length")
	}
	var node blob.Hash
	switch len(p.Leaf) {
	case 0:
		if len(p.Branches) > 0 {
			return fail("branches above nothing")
		}
	case 2:
		l := leaf{p.Leaf[0], p.Leaf[1]}
		if bucketOf(l.key, buckets) != b {
			return fail("the leaf is of another bucket")
		}
		if node, err = p.climb(l, hashed); err != nil {
			return fail(err.Error())
		}
		ok = l.key == hashed
		if ok && blob.Leaf(p.Value) != l.value {
			return fail("not the value of the key")
		}
	default:
		return fail("no leaf")
	}
	if !ok && len(p.Value) > 0 {
		return fail("a value of no key")
	}
	got, err := blob.Climb(node, b, buckets, p.Path[len(p.Branches):])
	if err != nil || got != root {
		return fail("another root")
	}
	if !ok {
		return nil, false, nil
	}
	return p.Value, true, nil
}

// climb is the root of the bucket's trie to which a leaf leads, on the way that a key's
// bits go.
func (p Proof) climb(l leaf, key blob.Hash) (blob.Hash, error) {
	node := l.hash()
	for i, bit := range p.Branches {
		switch {
		case i > 0 && bit >= p.Branches[i-1]:
			return node, errors.New("the branches are not in order")
		case bitOf(l.key, bit) != bitOf(key, bit):
			return node, errors.New("the leaf is not on the way of the key")
		case bitOf(key, bit):
			node = branchHash(bit, p.Path[i], node)
		default:
			node = branchHash(bit, node, p.Path[i])
		}
	}
	return node, nil
}
