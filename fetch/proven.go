package fetch

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// symbol is a verified symbol with the opening that proves it.
type symbol struct {
	blob.Symbol
	opening blob.Opening
}

const (
	openedBytes     = 192 << 10 // bytes of openings in one answer at most: an answer is one frame
	openingOverhead = 1024      // bytes of an opening beside its symbol, at most
)

// provenSymbols asks for the symbols at indices, ascending, of fragments along axis
// in one stripe, each with its proof.
func provenSymbols(c blob.Commitment, axis blob.Axis, indices []int) query[[]symbol] {
	each := max(1, openedBytes/(c.Layout.Seg+openingOverhead))
	return func(ctx context.Context, l *p2p.FragmentLine, places []blob.Place, from, to uint32, emit func(uint32, blob.Place, []symbol) error) error {
		if to != from+1 {
			return fmt.Errorf("proven symbols of %d stripes at once", to-from)
		}
		all := map[blob.Place][]symbol{}
		for rest := indices; len(rest) > 0; rest = rest[min(each, len(rest)):] {
			part := rest[:min(each, len(rest))]
			err := l.Symbols(ctx, c.ID, axis, places, part, from, to, 0, true, func(p blob.Place, got p2p.Symbols) error {
				if !got.Held() {
					return nil
				}
				symbols, err := openAll(c, p, axis, part, got)
				all[p] = append(all[p], symbols...)
				return err
			})
			if err != nil {
				return err
			}
		}
		for _, p := range places {
			if len(all[p]) != len(indices) {
				continue // the member does not hold the fragment, or lost it meanwhile
			}
			if err := emit(from, p, all[p]); err != nil {
				return err
			}
		}
		return nil
	}
}

// openAll verifies an answer: one opening for each index, in order.
func openAll(c blob.Commitment, p blob.Place, axis blob.Axis, indices []int, got p2p.Symbols) ([]symbol, error) {
	_, roots, err := proveWitness(c, p2p.Piece{Stripe: got.Stripe, Place: p, Witness: got.Witness})
	if err != nil {
		return nil, err
	}
	if len(got.Openings) != len(indices) {
		return nil, fmt.Errorf("%d openings for %d symbols: %w", len(got.Openings), len(indices), blob.ErrMismatch)
	}
	out := make([]symbol, len(indices))
	for i, b := range got.Openings {
		o, err := blob.DecodeOpening(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		if o.Axis != axis || int(o.Index) != indices[i] {
			return nil, fmt.Errorf("opening of %v symbol %d, asked for %v %d: %w", o.Axis, o.Index, axis, indices[i], blob.ErrMismatch)
		}
		s, err := o.Prove(roots)
		if err != nil {
			return nil, err
		}
		out[i] = symbol{s, o}
	}
	return out, nil
}
