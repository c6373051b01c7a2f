package state

import (
	"math/bits"
	"sort"
	"sync"

	"github.com/zeebo/blake3"

	"github.com/walrus-network/walrus/blob"
)

// Inside a bucket the keys lie in a binary trie over the bits of their hashes, the
// first bit of the first byte first. A branch stands only where keys part: over a set
// of keys T is
//
//	T(no key)  = 32 zero bytes
//	T(one key) = leafHash(hash of the key, hash of its value)
//	T(more)    = branchHash(b, T(those with bit b = 0), T(those with bit b = 1)),
//	             b being the first bit in which two of them differ
//
// so that the hash follows from the set alone, and a path is as long as the number
// of branches that keys really make: log2(keys) and a few, or as many as a stranger
// has ground, at twice the work for each.
//
// Leaves, branches and the nodes above the buckets are hashed in three contexts: none
// of them can be shown as another.
const (
	leafContext   = "walrus 2026 state leaf v1"
	branchContext = "walrus 2026 state branch v1"
)

var (
	leafHashers   = sync.Pool{New: func() any { return blake3.NewDeriveKey(leafContext) }}
	branchHashers = sync.Pool{New: func() any { return blake3.NewDeriveKey(branchContext) }}
)

// leaf is a key of the trie.
type leaf struct {
	key   blob.Hash // hashKey
	value blob.Hash // blob.Leaf of the value
}

func (l leaf) hash() blob.Hash {
	var in [64]byte
	copy(in[:32], l.key[:])
	copy(in[32:], l.value[:])
	return sum(&leafHashers, in[:])
}

func branchHash(bit uint8, zero, one blob.Hash) blob.Hash {
	var in [65]byte
	in[0] = bit
	copy(in[1:33], zero[:])
	copy(in[33:], one[:])
	return sum(&branchHashers, in[:])
}

func sum(hashers *sync.Pool, in []byte) (out blob.Hash) {
	h := hashers.Get().(*blake3.Hasher)
	defer hashers.Put(h)
	h.Reset()
	h.Write(in)
	h.Sum(out[:0])
	return out
}

// bitOf is a bit of a hash: 0 is the highest of the first byte.
func bitOf(h blob.Hash, bit uint8) bool { return h[bit/8]&(0x80>>(bit%8)) != 0 }

// parts is the first bit in which two different hashes differ.
func parts(a, b blob.Hash) uint8 {
	for i := range a {
		if d := a[i] ^ b[i]; d != 0 {
			return uint8(8*i + bits.LeadingZeros8(d))
		}
	}
	panic("state: a trie with one key twice")
}

// twig is a part of a trie whose hash is known: a leaf, or all keys that share their
// first bits.
type twig struct {
	at   blob.Hash // any hash of a key in it
	hash blob.Hash // T of them
}

// divide splits two or more twigs, in the order of at, where they part.
func divide(t []twig) (bit uint8, k int) {
	bit = parts(t[0].at, t[len(t)-1].at)
	return bit, sort.Search(len(t), func(i int) bool { return bitOf(t[i].at, bit) })
}

// fold is T of all keys in twigs, which are in the order of at.
func fold(t []twig) blob.Hash {
	switch len(t) {
	case 0:
		return blob.Hash{}
	case 1:
		return t[0].hash
	}
	bit, k := divide(t)
	return branchHash(bit, fold(t[:k]), fold(t[k:]))
}

// step is a branch on the way to a key.
type step struct {
	bit     uint8
	sibling blob.Hash // T of the side that the key is not on
}

// descend follows a key's bits from the top of one or more twigs to one of them. That
// is where the key is, if it is anywhere. It appends the branches, the highest first.
func descend(t []twig, key blob.Hash, way []step) (int, []step) {
	first := 0
	for len(t) > 1 {
		bit, k := divide(t)
		if bitOf(key, bit) {
			way = append(way, step{bit, fold(t[:k])})
			t, first = t[k:], first+k
		} else {
			way = append(way, step{bit, fold(t[k:])})
			t = t[:k]
		}
	}
	return first, way
}
