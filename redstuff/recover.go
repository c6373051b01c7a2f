package redstuff

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// Recover rebuilds the stored symbols of a fragment from k of its N symbols (k2 for
// a row, k1 for a column; more are not looked at) at the distinct indices at. The
// symbols need no proof: the caller shows the result with blob.ProvenRoots.Possess,
// and only where that fails asks for proven symbols.
func (c *Code) Recover(axis blob.Axis, at []int, symbols [][]byte, seg int) ([]byte, error) {
	if err := c.checkSeg(seg); err != nil {
		return nil, err
	}
	if len(at) != len(symbols) {
		return nil, fmt.Errorf("recover %v: %d symbols at %d indices", axis, len(symbols), len(at))
	}
	have := make([][]byte, c.shape.N)
	for n, i := range at {
		if i < 0 || i >= c.shape.N || have[i] != nil || len(symbols[n]) != seg {
			return nil, fmt.Errorf("recover %v: symbol %d of %d bytes: %w", axis, i, len(symbols[n]), blob.ErrMismatch)
		}
		have[i] = symbols[n]
	}
	out := make([]byte, c.shape.Symbols(axis)*seg)
	if err := c.complete(axis, have, split(out, seg), seg); err != nil {
		return nil, fmt.Errorf("recover %v: %w", axis, err)
	}
	return out, nil
}

// RebuildFragment rebuilds the fragment of place want along axis from whole
// fragments of its stripe, at least k1 rows or at least k2 columns: what repair
// does where too few single symbols answer. Like Recover it only computes; the
// caller shows the result with blob.ProvenRoots.Possess.
func (c *Code) RebuildFragment(s blob.ProvenStripe, want blob.Place, axis blob.Axis, have []blob.VerifiedFragment) ([]byte, error) {
	fail := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("rebuild %v %d of stripe %d of %s: %w", axis, want, s.Stripe(), s.Commitment().ID, err)
	}
	whole, from, err := c.arrange(s, have)
	if err != nil {
		return fail(err)
	}
	if int(want) >= c.shape.N {
		return fail(fmt.Errorf("%d places", c.shape.N))
	}
	if whole[want] != nil && from == axis {
		return append([]byte(nil), whole[want]...), nil
	}
	seg := s.Commitment().Layout.StripeSeg(s.Stripe())
	at, in := firstOf(whole, c.needed(from))
	if from == axis {
		out := make([]byte, c.shape.Symbols(axis)*seg)
		if err := c.lines[axis.Cross()].interpolate(at, in, []int{int(want)}, [][]byte{out}, seg); err != nil {
			return fail(err)
		}
		return out, nil
	}
	symbols := make([][]byte, len(in))
	for i, fragment := range in {
		if symbols[i], err = c.SymbolsAt(from, fragment, seg, []int{int(want)}); err != nil {
			return fail(err)
		}
	}
	out, err := c.Recover(axis, at, symbols, seg)
	if err != nil {
		return fail(err)
	}
	return out, nil
}

// firstOf is the first k fragments that are there, and their places.
func firstOf(whole [][]byte, k int) (at []int, in [][]byte) {
	for i, b := range whole {
		if b != nil && len(at) < k {
			at, in = append(at, i), append(in, b)
		}
	}
	return at, in
}
