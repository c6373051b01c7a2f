package fetch

import (
	"context"
	"errors"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// ErrLarge is returned for a blob that ReadSmall does not read.
var ErrLarge = errors.New("the blob has more than comes with its manifest")

// ReadSmall reads a blob of which only the ID is known: members are asked for its manifest and
// its rows at the same time. Every byte is verified against the ID. That the blob is certified,
// and was not deleted, only the ledger says.
//
// Errors: ErrLarge; those of Read.
func (f *Fetcher) ReadSmall(ctx context.Context, d *Directory, id blob.ID) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rows, err := gather(ctx, f, d, id, 0, 1, sourceFirst(d.Shape.N), d.Shape.K1, smallRows(d.Shape, id, func() { cancel(ErrLarge) }))
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	var c blob.Commitment
	have := make(map[blob.Place]fragment, len(rows[0]))
	for p, row := range rows[0] {
		c, have[p] = row.of, row.fragment
	}
	b, err := decodeRows(nil, c, 0, have)
	if err != nil {
		return nil, err
	}
	return b[:min(int(c.Layout.Size), len(b))], nil // without padding
}

// smallFragment is a verified row with the commitment that came with it: the same in all,
// since the ID names it.
type smallFragment struct {
	fragment
	of blob.Commitment
}

// smallRows asks for the rows of a small blob. A large one is told once its manifest has come.
func smallRows(shape blob.Shape, id blob.ID, large func()) query[smallFragment] {
	return func(ctx context.Context, l *p2p.FragmentLine, places []blob.Place, _, _ uint32, emit func(uint32, blob.Place, smallFragment) error) error {
		m, ok, err := l.Small(ctx, id, places, func(m blob.Manifest, got p2p.Piece) error {
			if len(got.Witness) == 0 {
				return nil
			}
			c, err := m.Commitment()
			if err != nil {
				return err
			}
			row, err := verifyFragment(c, blob.Row, got)
			if err != nil {
				return err
			}
			return emit(got.Stripe, got.Place, smallFragment{row, c})
		})
		if err != nil || !ok {
			return err
		}
		if layout, err := m.Layout(); err != nil || !p2p.IsSmall(layout) || layout.Shape != shape {
			large()
		}
		return nil
	}
}
