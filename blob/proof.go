package blob

import (
	"fmt"

	"github.com/walrus-network/walrus/canon"
)

// Opening is one of the N symbols of a fragment with what shows that it belongs to
// it: the path in its half of the fragment's tree (source or parity), and the root
// of the other half. The fragment's root comes from a ProvenRoots.
type Opening struct {
	_      struct{} `cbor:",toarray"`
	Axis   Axis
	Place  Place  // the fragment: row or column of this place
	Index  uint16 // of the symbol in the fragment, 0 to N-1
	Symbol []byte
	Path   []Hash // lowest first
	Other  Hash
}

// maxOpeningBytes bounds an opening from outside: a symbol of 16 KiB, a path of 10.
const maxOpeningBytes = 16384 + 1024

// Open shows the symbol at index i of fragment (axis, place). symbols is all N of
// them, one after the other, and leaves their hashes.
func Open(s Shape, axis Axis, place Place, symbols []byte, leaves []Hash, i int) Opening {
	seg := len(symbols) / s.N
	half, other, at := leaves[:s.Symbols(axis)], leaves[s.Symbols(axis):], i
	if i >= len(half) {
		half, other, at = other, half, i-len(half)
	}
	return Opening{
		Axis: axis, Place: place, Index: uint16(i), Symbol: symbols[i*seg : (i+1)*seg : (i+1)*seg],
		Path: NewTree(half).Path(at), Other: Root(other),
	}
}

// Encode is the canonical bytes.
func (o Opening) Encode() []byte { return canon.Encode(o) }

// DecodeOpening reads an opening; Prove says whether it is true.
func DecodeOpening(b []byte) (o Opening, err error) {
	if len(b) > maxOpeningBytes {
		return o, fmt.Errorf("opening of %d bytes: at most %d", len(b), maxOpeningBytes)
	}
	err = canon.Decode(b, &o)
	return o, err
}

// Symbol is one symbol of a fragment that was shown to belong to a blob. Only
// Opening.Prove makes one.
type Symbol struct {
	of    Position
	index int
	data  []byte
}

// Of is the fragment in whose tree the symbol was shown.
func (s Symbol) Of() Position { return s.of }

// Index is the symbol's index in that fragment.
func (s Symbol) Index() int { return s.index }

// Bytes is the symbol. The caller must not change it.
func (s Symbol) Bytes() []byte { return s.data }

// IndexIn is the index at which this symbol's cell lies in the fragment at: its own
// index if it was shown there, the crossing place if it was shown in a fragment that
// crosses at; ok is false if the cell is not in that fragment.
func (s Symbol) IndexIn(at Position) (i int, ok bool) {
	if s.of == at {
		return s.index, true
	}
	crossing := Position{Blob: at.Blob, Stripe: at.Stripe, Place: s.of.Place, Axis: at.Axis.Cross()}
	return int(s.of.Place), s.of == crossing && s.index == int(at.Place)
}

// Prove checks the opening against the proven roots of its place. A failure is the fault
// of the sender.
func (o Opening) Prove(r ProvenRoots) (Symbol, error) {
	l := r.of.Layout
	fail := func(err error) (Symbol, error) {
		return Symbol{}, fmt.Errorf("symbol %d of %v: %w", o.Index, r.Position(o.Axis), err)
	}
	if o.Axis > Column || o.Place != r.place || int(o.Index) >= l.N {
		return fail(fmt.Errorf("opening of axis %d, place %d: %w", o.Axis, o.Place, ErrMismatch))
	}
	if seg := l.StripeSeg(int(r.stripe)); len(o.Symbol) != seg {
		return fail(fmt.Errorf("%d bytes, want %d: %w", len(o.Symbol), seg, ErrMismatch))
	}
	root, err := climbFragment(l.Shape, o.Axis, Leaf(o.Symbol), int(o.Index), o.Path, o.Other)
	if err == nil && root != r.roots.Of(o.Axis) {
		err = ErrMismatch
	}
	if err != nil {
		return fail(err)
	}
	return Symbol{of: r.Position(o.Axis), index: int(o.Index), data: o.Symbol}, nil
}

// climbFragment is the fragment root to which leaf i leads.
func climbFragment(s Shape, axis Axis, leaf Hash, i int, path []Hash, other Hash) (Hash, error) {
	k := s.Symbols(axis)
	if i < k {
		half, err := Climb(leaf, i, k, path)
		return Node(half, other), err
	}
	half, err := Climb(leaf, i-k, s.N-k, path)
	return Node(other, half), err
}
