package state

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// ErrSnapshot is returned for keys that do not make the state they should.
var ErrSnapshot = errors.New("snapshot does not make the state it names")

// topLevel is the level of the tree at which a snapshot is cut: 4,096 subtrees, whose
// hashes fit into one answer and prove each subtree by itself.
const topLevel = 12

// TopLevel is the level at which a snapshot of a tree is cut: that of the buckets where
// the tree is lower than topLevel.
func TopLevel(buckets int) int { return min(topLevel, bits.Len(uint(buckets))-1) }

// Item is a key of a snapshot with its value. A long value is left out, and its hash
// stands in its place.
type Item struct {
	_     struct{} `cbor:",toarray"`
	Key   []byte
	Value []byte
	Hash  []byte // blob.Leaf of a value that was left out; empty where Value is the value
}

// valueHash is the hash of the item's value.
func (i Item) valueHash() blob.Hash {
	if len(i.Hash) == len(blob.Hash{}) {
		return blob.Hash(i.Hash)
	}
	return blob.Leaf(i.Value)
}

// Check bounds an item from a stranger.
func (i Item) Check() error {
	if len(i.Key) == 0 || len(i.Key) > maxKey || len(i.Value) > maxValue ||
		len(i.Hash) != 0 && (len(i.Hash) != len(blob.Hash{}) || len(i.Value) > 0) {
		return fmt.Errorf("a key of %d bytes with a value of %d and a hash of %d: %w", len(i.Key), len(i.Value), len(i.Hash), ErrSnapshot)
	}
	return nil
}

// Leaf is a key of a bucket by its hash, with the hash of its value.
type Leaf struct {
	Key, Value blob.Hash
}

// LeafOf is the leaf that an item makes.
func LeafOf(salt [32]byte, i Item) Leaf { return Leaf{hashKey(salt, i.Key), i.valueHash()} }

// Compare orders leaves by their buckets, and in a bucket by their keys' hashes.
func (l Leaf) Compare(o Leaf, buckets int) int {
	if a, b := bucketOf(l.Key, buckets), bucketOf(o.Key, buckets); a != b {
		return a - b
	}
	return compareHashes(l.Key, o.Key)
}

func compareHashes(a, b blob.Hash) int {
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

// Node is the node of the tree at a level under which the leaf lies.
func (l Leaf) Node(buckets, level int) uint32 {
	return uint32(buckets+bucketOf(l.Key, buckets)) >> (bits.Len(uint(buckets)) - 1 - level)
}

// LevelOf is the level of a node: 0 is the root's.
func LevelOf(node uint32) int { return bits.Len32(node) - 1 }

// below is the buckets' nodes under a node: from first on, count of them.
func below(buckets int, node uint32) (first, count uint32) {
	down := bits.Len(uint(buckets)) - 1 - LevelOf(node)
	return node << down, 1 << down
}

// BucketsBelow is the hashes of the buckets under a node that has these leaves, which are
// in the order of Compare.
func BucketsBelow(buckets int, node uint32, leaves []Leaf) []blob.Hash {
	first, count := below(buckets, node)
	out := make([]blob.Hash, count)
	for len(leaves) > 0 {
		b := bucketOf(leaves[0].Key, buckets)
		n := 1
		for n < len(leaves) && bucketOf(leaves[n].Key, buckets) == b {
			n++
		}
		out[uint32(buckets+b)-first] = bucketHash(leaves[:n])
		leaves = leaves[n:]
	}
	return out
}

// bucketHash is T of a bucket's leaves, in the order of their keys' hashes.
func bucketHash(leaves []Leaf) blob.Hash {
	twigs := make([]twig, len(leaves))
	for i, l := range leaves {
		twigs[i] = twig{l.Key, leaf{l.Key, l.Value}.hash()}
	}
	return fold(twigs)
}

// foldNodes is the hash of the node above hashes, a power of two of them.
func foldNodes(hashes []blob.Hash) blob.Hash {
	level := append([]blob.Hash(nil), hashes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = blob.Node(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// Nodes is the hashes of all nodes of a level at a height that is kept.
func (s *State) Nodes(height unit.Height, level int) ([]blob.Hash, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.has(height); err != nil {
		return nil, err
	}
	if level < 0 || level > bits.Len(uint(s.tree.buckets()))-1 {
		return nil, fmt.Errorf("level %d of a tree of %d buckets", level, s.tree.buckets())
	}
	out := make([]blob.Hash, 1<<level)
	for i := range out {
		out[i] = s.nodeAt(height, uint32(1<<level+i))
	}
	return out, nil
}
