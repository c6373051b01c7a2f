package blob

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/zeebo/blake3"
)

// Trees have the shape of RFC 6962: split at the largest power of two below n;
// one leaf is its own root. The length of a path follows from (index, n), never
// from what a message says.

// ErrMismatch is returned when bytes or a path do not lead to the committed root.
var ErrMismatch = errors.New("does not match its committed hash")

// Root is the Merkle root over leaves. It panics on no leaves: no format has an empty tree.
func Root(leaves []Hash) Hash {
	if len(leaves) == 0 {
		panic("blob: root of no leaves")
	}
	h := nodeHashers.Get().(*blake3.Hasher)
	defer nodeHashers.Put(h)
	return root(h, leaves)
}

func root(h *blake3.Hasher, leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	return nodeWith(h, root(h, leaves[:k]), root(h, leaves[k:]))
}

// split is the largest power of two below n, for n >= 2.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// Tree is a Merkle tree with its inner nodes kept, so that every path is a look-up.
//
// Invariant: levels[0] is the leaves; each level pairs the one below it, and an odd
// last node moves up as it is. That is the shape of split, built from below.
type Tree struct {
	levels [][]Hash
}

// NewTree hashes leaves once and keeps all inner nodes. It keeps leaves too: the
// caller must not change them.
func NewTree(leaves []Hash) *Tree {
	if len(leaves) == 0 {
		panic("blob: tree of no leaves")
	}
	h := nodeHashers.Get().(*blake3.Hasher)
	defer nodeHashers.Put(h)
	t := &Tree{levels: [][]Hash{leaves}}
	for level := leaves; len(level) > 1; {
		up := make([]Hash, (len(level)+1)/2)
		for i := range len(level) / 2 {
			up[i] = nodeWith(h, level[2*i], level[2*i+1])
		}
		if len(level)%2 == 1 {
			up[len(up)-1] = level[len(level)-1]
		}
		t.levels = append(t.levels, up)
		level = up
	}
	return t
}

// Root is the root of the tree.
func (t *Tree) Root() Hash { return t.levels[len(t.levels)-1][0] }

// Len is the number of leaves.
func (t *Tree) Len() int { return len(t.levels[0]) }

// Leaf is leaf i.
func (t *Tree) Leaf(i int) Hash { return t.levels[0][i] }

// Path is the siblings of leaf i, lowest first.
func (t *Tree) Path(i int) []Hash {
	if i < 0 || i >= t.Len() {
		panic(fmt.Sprintf("blob: path of leaf %d of %d", i, t.Len()))
	}
	path := make([]Hash, 0, PathLen(i, t.Len()))
	for _, level := range t.levels {
		if sibling := i ^ 1; sibling < len(level) {
			path = append(path, level[sibling])
		}
		i /= 2
	}
	return path
}

// PathLen is the number of siblings on the path of leaf i of n.
func PathLen(i, n int) int {
	steps := 0
	for n > 1 {
		k := split(n)
		if i < k {
			n = k
		} else {
			i, n = i-k, n-k
		}
		steps++
	}
	return steps
}

// Climb is the root to which leaf i of n leads along path. A path of the wrong
// length is an error; whether the root is the right one is the caller's question.
func Climb(leaf Hash, i, n int, path []Hash) (Hash, error) {
	if i < 0 || i >= n {
		return Hash{}, fmt.Errorf("leaf %d of %d: %w", i, n, ErrMismatch)
	}
	if want := PathLen(i, n); len(path) != want {
		return Hash{}, fmt.Errorf("path of leaf %d of %d has %d hashes, want %d: %w", i, n, len(path), want, ErrMismatch)
	}
	return climb(leaf, i, n, path), nil
}

func climb(leaf Hash, i, n int, path []Hash) Hash {
	if n == 1 {
		return leaf
	}
	k, last := split(n), len(path)-1
	if i < k {
		return Node(climb(leaf, i, k, path[:last]), path[last])
	}
	return Node(path[last], climb(leaf, i-k, n-k, path[:last]))
}
