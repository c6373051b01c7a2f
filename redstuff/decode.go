package redstuff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
)

var (
	// ErrTooFew is returned when fewer fragments, symbols or shares are given than
	// the code needs.
	ErrTooFew = errors.New("too few to decode")

	// ErrInconsistent is returned when checked fragments decode to rows that miss
	// their committed roots: the blob is badly encoded and has no reading.
	ErrInconsistent = errors.New("blob is badly encoded")
)

// Decode appends the blob's bytes of stripe s to dst, from at least k1 rows or at
// least k2 columns of it. What it returns is what the k1 source rows commit to; a
// stripe whose fragments say anything else is ErrInconsistent. Source rows that
// were given are taken as they are, so giving all of them costs a copy.
func (c *Code) Decode(dst []byte, s blob.ProvenStripe, fragments []blob.VerifiedFragment) ([]byte, error) {
	rows, err := c.sourceRows(dst, s, fragments)
	if err != nil {
		return dst, fmt.Errorf("decode stripe %d of %s: %w", s.Stripe(), s.Commitment().ID, err)
	}
	return rows[:len(dst)+int(s.Commitment().Layout.StripeBytes(s.Stripe()))], nil
}

// sourceRows appends the k1 source rows, padding and all, to dst.
func (c *Code) sourceRows(dst []byte, s blob.ProvenStripe, fragments []blob.VerifiedFragment) ([]byte, error) {
	have, axis, err := c.arrange(s, fragments)
	if err != nil {
		return nil, err
	}
	seg := s.Commitment().Layout.StripeSeg(s.Stripe())
	width := c.shape.K2 * seg
	out := slices.Grow(dst, c.shape.K1*width)[:len(dst)+c.shape.K1*width]
	rows := split(out[len(dst):], width)
	if axis == blob.Row {
		err = c.complete(blob.Column, have, rows, seg)
	} else {
		err = c.rowsFromColumns(have, rows, seg)
	}
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		if axis == blob.Row && have[i] != nil {
			continue
		}
		if err := c.checkRow(s, blob.Place(i), row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rowsFromColumns completes the k2 source columns and turns them into rows.
func (c *Code) rowsFromColumns(have, rows [][]byte, seg int) error {
	height := c.shape.K1 * seg
	columns := make([][]byte, c.shape.K2)
	for i := range columns {
		if columns[i] = have[i]; columns[i] == nil {
			columns[i] = make([]byte, height)
		}
	}
	if err := c.complete(blob.Row, have, columns, seg); err != nil {
		return err
	}
	for j, column := range columns {
		for i, row := range rows {
			copy(row[j*seg:(j+1)*seg], column[i*seg:])
		}
	}
	return nil
}

// checkRow hashes all N symbols of a rebuilt row against its committed root.
func (c *Code) checkRow(s blob.ProvenStripe, p blob.Place, row []byte) error {
	_, err := s.At(p).VerifyFull(blob.Row, row, c)
	if errors.Is(err, blob.ErrMismatch) {
		return fmt.Errorf("row %d: %w", p, ErrInconsistent)
	}
	return err
}

// arrange puts fragments of one axis of stripe s where they belong among N places.
func (c *Code) arrange(s blob.ProvenStripe, fragments []blob.VerifiedFragment) ([][]byte, blob.Axis, error) {
	if s.Commitment().Layout.Shape != c.shape {
		return nil, 0, fmt.Errorf("stripe of %d shards given to the code of %d", s.Commitment().Layout.N, c.shape.N)
	}
	if len(fragments) == 0 {
		return nil, 0, ErrTooFew
	}
	axis := fragments[0].Position().Axis
	have := make([][]byte, c.shape.N)
	count := 0
	for _, f := range fragments {
		at := f.Position()
		if want := s.At(at.Place).Position(axis); at != want {
			return nil, 0, fmt.Errorf("given %v among fragments of %v", at, want)
		}
		if have[at.Place] == nil {
			have[at.Place] = f.Bytes()
			count++
		}
	}
	if need := c.needed(axis); count < need {
		return nil, 0, fmt.Errorf("%d of %d %vs: %w", count, need, axis, ErrTooFew)
	}
	return have, axis, nil
}

// needed is how many fragments of an axis rebuild a stripe: k1 rows, k2 columns.
func (c *Code) needed(axis blob.Axis) int { return c.shape.Symbols(axis.Cross()) }
