package redstuff

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// Open shows the symbols at the indices at of the fragment of place along axis, each
// with its path: what a holder answers when single symbols have to be proven.
func (c *Code) Open(axis blob.Axis, place blob.Place, fragment []byte, seg int, at []int) ([]blob.Opening, error) {
	parity, err := c.Extend(axis, fragment, seg)
	if err != nil {
		return nil, err
	}
	symbols := make([]byte, 0, c.shape.N*seg)
	symbols = append(append(symbols, fragment...), parity...)
	leaves := blob.Leaves(symbols, seg)
	out := make([]blob.Opening, len(at))
	for n, i := range at {
		if i < 0 || i >= c.shape.N {
			return nil, fmt.Errorf("symbol %d of a %v of %d", i, axis, c.shape.N)
		}
		out[n] = blob.Open(c.shape, axis, place, symbols, leaves, i)
	}
	return out, nil
}

// RecoverProven rebuilds the fragment of target along axis from k or more symbols that
// were proven, each in a crossing fragment or in the fragment itself. If the result
// misses the committed root, no node that answered has lied: the blob is badly encoded
// (ErrInconsistent), and ProveBadFragment shows it to the ledger.
func (c *Code) RecoverProven(target blob.ProvenRoots, axis blob.Axis, symbols []blob.Symbol) (blob.FullFragment, error) {
	fragment, err := c.fromProven(target.Position(axis), symbols)
	if err != nil {
		return blob.FullFragment{}, fmt.Errorf("recover %v: %w", target.Position(axis), err)
	}
	kept, err := target.VerifyFull(axis, fragment, c)
	if errors.Is(err, blob.ErrMismatch) {
		err = fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	if err != nil {
		return blob.FullFragment{}, fmt.Errorf("recover from proven symbols: %w", err)
	}
	return kept, nil
}

// fromProven rebuilds the stored symbols of the fragment at from proven symbols of it.
func (c *Code) fromProven(at blob.Position, symbols []blob.Symbol) ([]byte, error) {
	have := make([][]byte, c.shape.N)
	seg := 0
	for _, s := range symbols {
		i, ok := s.IndexIn(at)
		if !ok {
			return nil, fmt.Errorf("given symbol %d of %v, which is not a part of it", s.Index(), s.Of())
		}
		have[i], seg = s.Bytes(), len(s.Bytes())
	}
	if seg == 0 {
		return nil, ErrTooFew
	}
	out := make([]byte, c.shape.Symbols(at.Axis)*seg)
	if err := c.complete(at.Axis, have, split(out, seg), seg); err != nil {
		return nil, err
	}
	return out, nil
}
