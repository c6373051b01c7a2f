package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
)

// BadEncodingError is returned where a blob contradicts its own commitments. Its proof
// was checked, and the ledger accepts it.
type BadEncodingError struct {
	Proof redstuff.BadEncoding
}

func (e *BadEncodingError) Error() string {
	return fmt.Sprintf("blob %s contradicts itself in stripe %d: its client encoded it wrongly", e.Proof.Manifest.ID(), e.Proof.Stripe)
}

// Unwrap makes the error match redstuff.ErrInconsistent.
func (e *BadEncodingError) Unwrap() error { return redstuff.ErrInconsistent }

// accuse turns a proof of bad encoding into the error that carries it. err is the
// error of making the proof.
func accuse(p redstuff.BadEncoding, err error) error {
	if err != nil {
		return fmt.Errorf("prove a bad encoding: %w", err)
	}
	return &BadEncodingError{Proof: p}
}

// evidence returns the part that all proofs of bad encoding of the stripe share.
func (s StripeList) evidence() redstuff.Evidence {
	c := s.Commitment()
	return redstuff.Evidence{Manifest: c.Manifest(), Stripe: uint32(s.Stripe()), StripePath: s.Path,
		List: s.Tree.List(), Coded: s.Tree.CodedRoot()}
}

// contradiction proves that stripe i of the run contradicts itself, given k1 of its
// rows that do not lead to the committed fragment of place lost. The rows determine
// all columns. If a column misses its committed root, the proof shows that column;
// otherwise the columns' symbols contradict the lost row, and the proof shows those.
func (r *recovery) contradiction(i int, rows []blob.VerifiedFragment, lost blob.Place) (redstuff.BadEncoding, error) {
	code, list := redstuff.For(r.d.Shape), r.lists[i]
	seg := r.c.Layout.StripeSeg(list.Stripe())
	var cells []blob.Opening // the symbols of the lost row, each opened in its column
	for j := range blob.Place(r.d.Shape.N) {
		data, err := code.RebuildFragment(list.ProvenStripe, j, blob.Column, rows)
		if err != nil {
			return redstuff.BadEncoding{}, err
		}
		if _, err := list.At(j).VerifyFull(blob.Column, data, code); errors.Is(err, blob.ErrMismatch) {
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

// badColumn proves that the rows' symbols contradict a committed column.
func (r *recovery) badColumn(i int, rows []blob.VerifiedFragment, column blob.Place) (redstuff.BadEncoding, error) {
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

// examine looks for the members whose symbols are not in the fragments that proven
// symbols led to, and asks each to prove its symbol. A member that cannot prove it is
// blamed. A proof shows a cell with one value in its row and another in its column:
// then the blob is badly encoded, and the error says so.
func (r *recovery) examine(ctx context.Context, i int, answers map[blob.Place]claim, truth []blob.FullFragment) error {
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
			cell := r.demand(ctx, given, from, stripe, int(r.lost[n]))
			if cell == nil || !bytes.Equal(cell.Bytes(), said) {
				break // demand blamed the member, or could not reach it
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

// demand asks a member to prove a symbol that it gave, and blames the member if the
// proof fails or proves another symbol. cell is nil where no valid proof came.
func (r *recovery) demand(ctx context.Context, given claim, place blob.Place, stripe uint32, index int) (cell *symbol) {
	for _, m := range r.d.Members {
		if m.Peer != given.from {
			continue
		}
		err := r.f.with(ctx, m, false, func(l *p2p.FragmentLine) error {
			return provenSymbols(r.c, r.axis.Cross(), []int{index})(ctx, l, []blob.Place{place}, stripe, stripe+1, func(_ uint32, _ blob.Place, s []symbol) error {
				cell = &s[0]
				return nil
			})
		})
		if err != nil && (ctx.Err() != nil || p2p.IsHangup(err)) {
			return nil // no answer, true or false
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

// lostAt returns the position in lost of the place with the given index.
func (r *recovery) lostAt(index int) int {
	for n, p := range r.lost {
		if int(p) == index {
			return n
		}
	}
	return 0
}
