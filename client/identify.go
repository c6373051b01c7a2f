package client

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// Identify works out what a source is as a blob of a network of that shape, and
// needs no network for it. progress, if not nil, is told how many bytes were encoded.
func Identify(ctx context.Context, shape blob.Shape, src Source, progress func(encoded int64)) (blob.Commitment, error) {
	l, err := shape.Layout(src.Size())
	if err != nil {
		return blob.Commitment{}, err
	}
	r, err := src.Open(0)
	if err != nil {
		return blob.Commitment{}, err
	}
	defer r.Close()
	c, _, err := redstuff.For(shape).Commit(ctx, l, r, 0, func(s *redstuff.Stripe) error {
		if progress != nil {
			progress(l.StripeOffset(s.Index()) + l.StripeBytes(s.Index()))
		}
		s.Release()
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("encode: %w", err)
	}
	return c, nil
}
