package fetch

import (
	"context"
	"fmt"
	"io"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// readWindow bounds the user bytes, in bytes, that are fetched ahead of the writer.
const readWindow = 24 << 20

// Read writes the blob to w, in order, every byte verified. On an error the bytes
// already written are a true prefix of the blob. Memory stays bounded however large
// the blob is.
//
// Errors: ErrUnavailable where fewer than k1 places of a stripe answer, with ErrFrozen
// if a challenge still runs after ten minutes; redstuff.ErrInconsistent where the blob
// contradicts its commitments; the error of ctx or of w.
func (f *Fetcher) Read(ctx context.Context, d *Directory, c blob.Commitment, w io.Writer) error {
	if c.Layout.Size == 0 {
		return nil
	}
	return f.readStripes(ctx, d, c, 0, uint32(c.Layout.Stripes), func(_ uint32, b []byte) error {
		_, err := w.Write(b)
		return err
	})
}

// batch is a run of decoded stripes, or the error that took their place.
type batch struct {
	from    uint32
	stripes [][]byte
	err     error
}

// readStripes calls each with the user bytes of stripes [from, to), in order. One
// batch is fetched while the batch before it is written.
func (f *Fetcher) readStripes(ctx context.Context, d *Directory, c blob.Commitment, from, to uint32, each func(uint32, []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	step := uint32(max(1, readWindow/2/(c.Layout.K1*c.Layout.K2*c.Layout.Seg)))
	batches := make(chan chan batch, 1)
	go func() {
		defer close(batches)
		for at := from; at < to; at += step {
			one := make(chan batch, 1)
			select {
			case batches <- one:
			case <-ctx.Done():
				return
			}
			b := batch{from: at}
			b.stripes, b.err = f.fetchBatch(ctx, d, c, at, min(at+step, to))
			one <- b
			if b.err != nil {
				return
			}
		}
	}()
	var err error
	for one := range batches {
		b := <-one
		if err == nil {
			err = b.err
		}
		for i, bytes := range b.stripes {
			if err == nil {
				err = each(b.from+uint32(i), bytes)
			}
		}
		if err != nil {
			cancel() // the loop goes on to drain the channel, so that the goroutine ends
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// fetchBatch reads stripes [from, to), each from any k1 of its rows.
func (f *Fetcher) fetchBatch(ctx context.Context, d *Directory, c blob.Commitment, from, to uint32) ([][]byte, error) {
	rows, err := gather(ctx, f, d, c.ID, from, to, sourceFirst(d.Shape.N), d.Shape.K1, fragmentsOf(c, blob.Row))
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(rows))
	err = inParallel(len(rows), func(i int) error {
		b, err := joinRows(c, from+uint32(i), rows[i])
		out[i] = b
		return err
	})
	return out, err
}

// joinRows returns the user bytes of a stripe. The k1 source rows hold them as they
// are. Other rows are decoded, and the result is checked against the roots of the
// source rows, which come from the shares of the root list in the rows' witnesses.
func joinRows(c blob.Commitment, stripe uint32, rows map[blob.Place]fragment) ([]byte, error) {
	l := c.Layout
	b := make([]byte, 0, l.K1*l.K2*l.StripeSeg(int(stripe)))
	for p := range l.K1 {
		row, ok := rows[blob.Place(p)]
		if !ok {
			return decodeRows(b[:0], c, stripe, rows)
		}
		b = append(b, row.Bytes()...)
	}
	return b[:l.StripeBytes(int(stripe))], nil
}

func decodeRows(dst []byte, c blob.Commitment, stripe uint32, rows map[blob.Place]fragment) ([]byte, error) {
	witnesses := make(map[blob.Place]blob.Witness, len(rows))
	fragments := make([]blob.VerifiedFragment, 0, len(rows))
	for p, row := range rows {
		witnesses[p] = row.witness
		fragments = append(fragments, row.VerifiedFragment)
	}
	list, err := proveList(c, stripe, witnesses)
	if err != nil {
		return nil, err
	}
	return redstuff.For(c.Layout.Shape).Decode(dst, list.ProvenStripe, fragments)
}

// StripeList is the proven root list of a stripe, with its coded tree and path: all
// that a place's witness is made from.
type StripeList struct {
	blob.ProvenStripe
	Tree *blob.StripeTree
	Path []blob.Hash // from the stripe's root to the blob's
}

// proveList rebuilds the root list of a stripe from k1 witnesses and proves that the
// list belongs to the blob.
func proveList(c blob.Commitment, stripe uint32, witnesses map[blob.Place]blob.Witness) (StripeList, error) {
	code := redstuff.For(c.Layout.Shape)
	shares := make(map[blob.Place][]byte, len(witnesses))
	var path []blob.Hash
	for p, w := range witnesses {
		shares[p], path = w.Share, w.StripePath
	}
	list, err := code.DecodeList(shares)
	if err != nil {
		return StripeList{}, err
	}
	tree := code.EncodeList(list)
	proven, err := tree.Prove(c, stripe, path)
	if err != nil {
		// Every share was proven, so the uploader coded the list itself wrongly.
		return StripeList{}, fmt.Errorf("root list of stripe %d of %s: %w", stripe, c.ID, redstuff.ErrInconsistent)
	}
	return StripeList{ProvenStripe: proven, Tree: tree, Path: path}, nil
}
