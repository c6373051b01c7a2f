package fetch

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// fragment is a verified fragment with the witness that came with it.
type fragment struct {
	blob.VerifiedFragment
	witness blob.Witness
}

// fragmentsOf asks for whole fragments along axis and verifies each against the blob ID.
func fragmentsOf(c blob.Commitment, axis blob.Axis) query[fragment] {
	return func(ctx context.Context, l *p2p.FragmentLine, places []blob.Place, from, to uint32, emit func(uint32, blob.Place, fragment) error) error {
		limit := c.Layout.FragmentBytes(0, axis)
		return l.Pieces(ctx, c.ID, axis, places, from, to, limit, func(got p2p.Piece) error {
			if len(got.Witness) == 0 {
				return nil
			}
			v, err := verifyFragment(c, axis, got)
			if err != nil {
				return err
			}
			return emit(got.Stripe, got.Place, v)
		})
	}
}

// verifyFragment verifies the fragment of an answer against the blob ID.
func verifyFragment(c blob.Commitment, axis blob.Axis, got p2p.Piece) (fragment, error) {
	w, roots, err := proveWitness(c, got)
	if err != nil {
		return fragment{}, err
	}
	v, err := roots.VerifySource(axis, got.Data, w.Parity.Of(axis))
	return fragment{v, w}, err
}

// witnessesOf asks for witnesses alone. Their shares rebuild a stripe's root list.
func witnessesOf(c blob.Commitment) query[blob.Witness] {
	return func(ctx context.Context, l *p2p.FragmentLine, places []blob.Place, from, to uint32, emit func(uint32, blob.Place, blob.Witness) error) error {
		return l.Witnesses(ctx, c.ID, places, from, to, func(got p2p.Piece) error {
			if len(got.Witness) == 0 {
				return nil
			}
			w, _, err := proveWitness(c, got)
			if err != nil {
				return err
			}
			return emit(got.Stripe, got.Place, w)
		})
	}
}

// proveWitness decodes the witness of an answer and proves it against the blob ID.
func proveWitness(c blob.Commitment, got p2p.Piece) (blob.Witness, blob.ProvenRoots, error) {
	w, err := blob.DecodeWitness(got.Witness)
	if err != nil {
		return w, blob.ProvenRoots{}, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
	}
	roots, err := w.Prove(c, got.Stripe, got.Place)
	return w, roots, err
}

// sourceFirst lists all places, those of the source rows first.
func sourceFirst(n int) []blob.Place {
	order := make([]blob.Place, n)
	for i := range order {
		order[i] = blob.Place(i)
	}
	return order
}
