package blob

import (
	"fmt"
	"slices"
)

// A proof of several leaves of one tree at once: the hashes of the largest subtrees
// that hold none of them, from left to right. How many there are follows from n and
// the leaves alone.

// Others is what a proof of the leaves at adds to them. at is ascending, without
// repeats, and not empty.
func (t *Tree) Others(at []int) []Hash {
	return t.others(nil, 0, t.Len(), at)
}

func (t *Tree) others(out []Hash, from, n int, at []int) []Hash {
	switch {
	case len(at) == 0:
		return append(out, Root(t.levels[0][from:from+n]))
	case n == 1:
		return out
	}
	k := split(n)
	i, _ := slices.BinarySearch(at, from+k)
	out = t.others(out, from, k, at[:i])
	return t.others(out, from+k, n-k, at[i:])
}

// climbSeveral is the root of n leaves of which those at are given, and what is left
// of others.
func climbSeveral(at []int, leaves []Hash, from, n int, others []Hash) (Hash, []Hash, error) {
	switch {
	case len(at) == 0:
		if len(others) == 0 {
			return Hash{}, nil, fmt.Errorf("proof of several leaves is too short: %w", ErrMismatch)
		}
		return others[0], others[1:], nil
	case n == 1:
		return leaves[0], others, nil
	}
	k := split(n)
	i, _ := slices.BinarySearch(at, from+k)
	a, others, err := climbSeveral(at[:i], leaves[:i], from, k, others)
	if err != nil {
		return Hash{}, nil, err
	}
	b, others, err := climbSeveral(at[i:], leaves[i:], from+k, n-k, others)
	if err != nil {
		return Hash{}, nil, err
	}
	return Node(a, b), others, nil
}

// ascending says that at are leaves of n, in order, without repeats, and some.
func ascending(at []int, n int) bool {
	for i, x := range at {
		if x < 0 || x >= n || i > 0 && x <= at[i-1] {
			return false
		}
	}
	return len(at) > 0
}

// OthersOf is what a proof of several of the N leaves of a fragment along axis adds
// to them: first those of the source half, then those of the parity half.
func OthersOf(s Shape, axis Axis, leaves []Hash, at []int) []Hash {
	k := s.Symbols(axis)
	i, _ := slices.BinarySearch(at, k)
	out := NewTree(leaves[:k]).Others(at[:i])
	return NewTree(leaves[k:]).others(out, 0, s.N-k, less(at[i:], k))
}

func less(at []int, k int) []int {
	out := make([]int, len(at))
	for i, x := range at {
		out[i] = x - k
	}
	return out
}

// ProveLeaves checks that the leaves at of the fragment along axis are these.
func (r ProvenRoots) ProveLeaves(axis Axis, at []int, leaves, others []Hash) error {
	s := r.of.Layout.Shape
	fail := func(err error) error { return fmt.Errorf("leaves of %v: %w", r.Position(axis), err) }
	if axis > Column || !ascending(at, s.N) || len(leaves) != len(at) {
		return fail(fmt.Errorf("%d leaves at %v: %w", len(leaves), at, ErrMismatch))
	}
	k := s.Symbols(axis)
	i, _ := slices.BinarySearch(at, k)
	source, others, err := climbSeveral(at[:i], leaves[:i], 0, k, others)
	if err != nil {
		return fail(err)
	}
	parity, others, err := climbSeveral(less(at[i:], k), leaves[i:], 0, s.N-k, others)
	if err != nil {
		return fail(err)
	}
	if len(others) > 0 || Node(source, parity) != r.roots.Of(axis) {
		return fail(ErrMismatch)
	}
	return nil
}

// RootsProof leads the two roots of a place to the blob: what a Witness shows, without
// the place's share of the root list.
type RootsProof struct {
	_          struct{} `cbor:",toarray"`
	Roots      Roots
	Path       []Hash // of Roots among the N places
	Coded      Hash   // root over the shares of the coded root list
	StripePath []Hash // of the stripe's root among the blob's stripes
}

// RootsProof is the part of a witness of place p, one of n, that leads its roots to the blob.
func (w Witness) RootsProof(p Place, n int) (RootsProof, error) {
	coded, err := Climb(Leaf(w.Share), int(p), n, w.SharePath)
	return RootsProof{Roots: w.Roots, Path: w.Path, Coded: coded, StripePath: w.StripePath}, err
}

// Prove shows that the roots are those of place p in the stripe.
func (q RootsProof) Prove(c Commitment, stripe uint32, p Place) (ProvenRoots, error) {
	if int64(stripe) >= int64(c.Layout.Stripes) {
		return ProvenRoots{}, fmt.Errorf("stripe %d of %d of %s: %w", stripe, c.Layout.Stripes, c.ID, ErrMismatch)
	}
	list, err := Climb(q.Roots.leaf(), int(p), c.Layout.N, q.Path)
	if err == nil {
		err = c.provesStripe(Node(list, q.Coded), stripe, q.StripePath)
	}
	if err != nil {
		return ProvenRoots{}, fmt.Errorf("roots of place %d: %w", p, err)
	}
	return ProvenRoots{of: c, stripe: stripe, place: p, roots: q.Roots}, nil
}
