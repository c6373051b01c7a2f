package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
)

// BadEncodingError is returned where a blob was met that contradicts its own
// commitments. The proof was checked; the ledger takes it.
type BadEncodingError struct {
	Proof redstuff.BadEncoding
}

func (e *BadEncodingError) Error() string {
	return fmt.Sprintf("blob %s contradicts itself in stripe %d: whoever stored it encoded it wrongly", e.Proof.Manifest.ID(), e.Proof.Stripe)
}

// Unwrap makes it a redstuff.ErrInconsistent.
func (e *BadEncodingError) Unwrap() error { return redstuff.ErrInconsistent }

// accuse makes an error of a proof.
func accuse(p redstuff.BadEncoding, err error) error {
	if err != nil {
		return fmt.Errorf("prove a bad encoding: %w", err)
	}
	return &BadEncodingError{Proof: p}
}

// evidence is what every proof about the stripe starts from.
func (s StripeList) evidence() redstuff.Evidence {
	c := s.Commitment()
	return redstuff.Evidence{Manifest: blob.NewManifest(c.Layout, c.Root), Stripe: uint32(s.Stripe()), StripePath: s.Path,
		List: s.Tree.List(), Coded: s.Tree.CodedRoot()}
}

// contradiction shows where a stripe contradicts itself, given that k1 of its rows do
// not lead to the fragment of place lost: they lead to all columns, so either one of
// those is not the committed one, or they are and contradict the lost row.
func (r *recovery) contradiction(i int, rows []blob.Verified, lost blob.Place) (redstuff.BadEncoding, error) {
	code, list := redstuff.For(r.d.Shape), r.lists[i]
	seg := r.c.Layout.StripeSeg(list.Stripe())
	var cells []blob.Opening // of the lost row, each in its column
	for j := range blob.Place(r.d.Shape.N) {
		data, err := code.RebuildFragment(list.ProvenStripe, j, blob.Column, rows)
		if err != nil {
			return redstuff.BadEncoding{}, err
		}
		if _, err := list.At(j).Possess(blob.Column, data, code); errors.Is(err, blob.ErrMismatch) {
			return r.badColumn(i, rows, j)
		} else if err != nil {
			return redstuff.BadEncoding{}, err
		}
		cell, err := code.Open(blob.Column, j, data, seg, []int{int(lost)})
		if err != nil {
			return redstuff.BadEncoding{}, err
		}
		cells = append(cells, cell...)
	}
	return redstuff.ProveBadFragment(list.evidence(), blob.Row, lost, cells)
}

func (r *recovery) badColumn(i int, rows []blob.Verified, column blob.Place) (redstuff.BadEncoding, error) {
	code, list := redstuff.For(r.d.Shape), r.lists[i]
	seg := r.c.Layout.StripeSeg(list.Stripe())
	var cells []blob.Opening
	for _, row := range rows {
		cell, err := code.Open(blob.Row, row.Position().Place, row.Bytes(), seg, []int{int(column)})
		if err != nil {
			return redstuff.BadEncoding{}, err
		}
		cells = append(cells, cell...)
	}
	return redstuff.ProveBadFragment(list.evidence(), blob.Column, column, cells)
}

// examine finds out who gave a symbol that is not in the fragments as they turned
// out to be: each is asked to prove it. Who cannot has lied. Who can shows a cell that
// is one thing in its row and another in its column.
func (r *recovery) examine(ctx context.Context, i int, answers map[blob.Place]plain, truth []blob.Possession) error {
	code, stripe := redstuff.For(r.d.Shape), r.from+uint32(i)
	seg := r.c.Layout.StripeSeg(int(stripe))
	for from, given := range answers {
		for n, fragment := range truth {
			is, err := code.SymbolsAt(r.axis, fragment.Bytes(), seg, []int{int(from)})
			if err != nil {
				return err
			}
			said := given.data[n*seg : (n+1)*seg]
			if bytes.Equal(is, said) {
				continue
			}
			cell := r.challenge(ctx, given, from, stripe, int(r.lost[n]))
			if cell == nil || !bytes.Equal(cell.Bytes(), said) {
				break // it was blamed, or could not be asked
			}
			own, err := code.Open(r.axis, r.lost[n], fragment.Bytes(), seg, []int{int(from)})
			if err != nil {
				return err
			}
			row, column := own[0], cell.opening
			if r.axis == blob.Column {
				row, column = column, row
			}
			return accuse(redstuff.ProveBadCell(r.lists[i].evidence(), row, column))
		}
	}
	return nil
}

// challenge asks a member to prove the symbol it gave, and blames it if what it says
// now is false, or is not what it said.
func (r *recovery) challenge(ctx context.Context, given plain, place blob.Place, stripe uint32, index int) (cell *shown) {
	for _, m := range r.d.Members {
		if m.Peer != given.from {
			continue
		}
		err := r.f.with(ctx, m, func(l *p2p.Link) error {
			return provenSymbols(r.c, r.axis.Cross(), []int{index})(l, []blob.Place{place}, stripe, stripe+1, func(_ uint32, _ blob.Place, s []shown) error {
				cell = &s[0]
				return nil
			})
		})
		if err != nil && (ctx.Err() != nil || p2p.IsHangup(err)) {
			return nil // nothing was said
		}
		if cell == nil || err != nil {
			err = fmt.Errorf("a symbol of %s it cannot prove: %w", r.c.ID, blob.ErrMismatch)
		} else if seg := len(cell.Bytes()); !bytes.Equal(cell.Bytes(), given.data[r.lostAt(index)*seg:][:seg]) {
			err = fmt.Errorf("a symbol of %s that is not the one it proves: %w", r.c.ID, blob.ErrMismatch)
		}
		if err != nil {
			r.f.judge(m, err)
		}
	}
	return cell
}

// lostAt is which of the lost places has the index.
func (r *recovery) lostAt(index int) int {
	for n, p := range r.lost {
		if int(p) == index {
			return n
		}
	}
	return 0
}
