package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/walrus-network/walrus/blob"
)

// ErrRange is returned for a range that is not inside the blob.
var ErrRange = errors.New("range outside the blob")

// ReadRange writes bytes [offset, offset+length) of the blob to w, in order, every
// byte verified. On an error the bytes already written are a true prefix of the range.
// A range of at most half a stripe, inside one stripe, costs only the symbols that it
// covers, each with its proof.
//
// Errors: ErrRange; otherwise those of Read.
func (f *Fetcher) ReadRange(ctx context.Context, d *Directory, c blob.Commitment, offset, length int64, w io.Writer) error {
	return f.ReadParts(ctx, d, c, offset, length, func(b []byte) error {
		_, err := w.Write(b)
		return err
	})
}

// ReadParts is ReadRange that hands the bytes on in parts as they were fetched. each may keep
// them, and never writes to them.
func (f *Fetcher) ReadParts(ctx context.Context, d *Directory, c blob.Commitment, offset, length int64, each func(b []byte) error) error {
	l := c.Layout
	if offset < 0 || length < 0 || offset > l.Size || length > l.Size-offset {
		return fmt.Errorf("bytes %d to %d of %d: %w", offset, offset+length, l.Size, ErrRange)
	}
	if length == 0 {
		return nil
	}
	full := int64(l.K1*l.K2) * int64(l.Seg)
	write := func(stripe uint32, at int, b []byte) error {
		start := l.StripeOffset(int(stripe)) + int64(at)
		lo, hi := max(offset-start, 0), min(offset+length-start, int64(len(b)))
		if lo >= hi {
			return nil
		}
		part := b[lo:hi]
		if hi-lo < int64(len(b))/2 {
			part = bytes.Clone(part) // all of b would stay with it
		}
		return each(part)
	}
	first, last := uint32(offset/full), uint32((offset+length-1)/full)
	if first == last && length <= full/2 {
		part, err := f.readPart(ctx, d, c, first, offset-l.StripeOffset(int(first)), length)
		if err == nil {
			err = each(part)
		}
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
	}
	return f.readStripes(ctx, d, c, first, last+1, write)
}

// readPart fetches the source symbols that cover bytes [lo, lo+length) of a stripe,
// each from its row.
func (f *Fetcher) readPart(ctx context.Context, d *Directory, c blob.Commitment, stripe uint32, lo, length int64) ([]byte, error) {
	seg := int64(c.Layout.StripeSeg(int(stripe)))
	width := int64(c.Layout.K2) * seg
	firstRow, lastRow := lo/width, (lo+length-1)/width
	rows := make([][]byte, lastRow-firstRow+1)
	err := inParallel(len(rows), func(i int) error {
		row := firstRow + int64(i)
		from, to := max(lo-row*width, 0), min(lo+length-row*width, width)
		first, last := from/seg, (to-1)/seg
		var indices []int
		for j := first; j <= last; j++ {
			indices = append(indices, int(j))
		}
		answers, err := gather(ctx, f, d, c.ID, stripe, stripe+1, []blob.Place{blob.Place(row)}, 1, provenSymbols(c, blob.Row, indices))
		if err != nil {
			return err
		}
		var b []byte
		for _, s := range answers[0][blob.Place(row)] {
			b = append(b, s.Bytes()...)
		}
		rows[i] = b[from-first*seg : to-first*seg]
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, b := range rows {
		out = append(out, b...)
	}
	return out, nil
}
