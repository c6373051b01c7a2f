package blob

import "fmt"

// VerifiedFragment is a fragment whose stored symbols were hashed and lead to a proven
// root. It is what a decoder takes. Only this package makes one.
//
// Invariant: len(data) = Symbols(axis) * StripeSeg(stripe).
type VerifiedFragment struct {
	at   Position
	data []byte
}

// Position says which fragment it is.
func (v VerifiedFragment) Position() Position { return v.at }

// Bytes is the stored symbols, in order. The caller must not change them.
func (v VerifiedFragment) Bytes() []byte { return v.data }

// FullFragment is a fragment all N leaves of which were checked, parity included. It is
// what a store takes: the node that keeps a fragment must be able to answer for every one
// of its N symbols, and a client may have committed to false parity.
type FullFragment struct {
	VerifiedFragment
	parity Hash
}

// Parity is the Merkle root of the parity leaves.
func (p FullFragment) Parity() Hash { return p.parity }

// Extender computes the parity symbols of a fragment: F of them for a row, 2F for a column.
type Extender interface {
	Extend(axis Axis, symbols []byte, seg int) (parity []byte, err error)
}

// VerifySource checks the stored symbols of a fragment against the proven root,
// taking the parity's root on trust of the hash: enough to read, not to keep.
func (r ProvenRoots) VerifySource(axis Axis, data []byte, parity Hash) (VerifiedFragment, error) {
	at := r.Position(axis)
	source, err := r.sourceLeaves(axis, data)
	if err != nil {
		return VerifiedFragment{}, err
	}
	if Node(Root(source), parity) != r.roots.Of(axis) {
		return VerifiedFragment{}, fmt.Errorf("%v: %w", at, ErrMismatch)
	}
	return VerifiedFragment{at: at, data: data}, nil
}

// VerifyFull checks all N leaves of a fragment: the stored symbols and the parity
// that ext computes from them.
func (r ProvenRoots) VerifyFull(axis Axis, data []byte, ext Extender) (FullFragment, error) {
	at := r.Position(axis)
	source, err := r.sourceLeaves(axis, data)
	if err != nil {
		return FullFragment{}, err
	}
	seg := r.of.Layout.StripeSeg(int(r.stripe))
	extended, err := ext.Extend(axis, data, seg)
	if err != nil {
		return FullFragment{}, fmt.Errorf("%v: extend: %w", at, err)
	}
	parity := Root(Leaves(extended, seg))
	if Node(Root(source), parity) != r.roots.Of(axis) {
		return FullFragment{}, fmt.Errorf("%v: %w", at, ErrMismatch)
	}
	return FullFragment{VerifiedFragment: VerifiedFragment{at: at, data: data}, parity: parity}, nil
}

func (r ProvenRoots) sourceLeaves(axis Axis, data []byte) ([]Hash, error) {
	if axis > Column {
		return nil, fmt.Errorf("axis %d: %w", axis, ErrMismatch)
	}
	if want := r.of.Layout.FragmentBytes(int(r.stripe), axis); len(data) != want {
		return nil, fmt.Errorf("%v: %d bytes, want %d: %w", r.Position(axis), len(data), want, ErrMismatch)
	}
	return Leaves(data, r.of.Layout.StripeSeg(int(r.stripe))), nil
}

// Leaves hashes the symbols of seg bytes each that make up b.
func Leaves(b []byte, seg int) []Hash {
	out := make([]Hash, len(b)/seg)
	for i := range out {
		out[i] = Leaf(b[i*seg : (i+1)*seg])
	}
	return out
}

// Recall makes a fragment that was kept a VerifiedFragment again: its bytes still have the
// address under which a FullFragment was stored.
func Recall(at Position, want Address, data []byte) (VerifiedFragment, error) {
	if AddressOf(data) != want {
		return VerifiedFragment{}, fmt.Errorf("%v: stored bytes have changed: %w", at, ErrMismatch)
	}
	return VerifiedFragment{at: at, data: data}, nil
}
