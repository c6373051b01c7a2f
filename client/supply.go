package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// ErrChanged is returned when a source read differently the second time.
var ErrChanged = errors.New("the input changed while it was being stored")

// keepBytes is how much of the encoded stripes all stores of a client keep in memory between
// the pass that computes the ID and the one that sends, if nothing else was said; the rest is
// encoded again.
const keepBytes = 128 << 20

// keeping is the bytes of encoded stripes that stores may keep yet.
type keeping struct{ left atomic.Int64 }

func (k *keeping) take(n int) bool {
	if k.left.Add(-int64(n)) >= 0 {
		return true
	}
	k.give(n)
	return false
}

func (k *keeping) give(n int) { k.left.Add(int64(n)) }

// encodedBlob is a blob that was encoded once: its commitment is known.
type encodedBlob struct {
	blob.Commitment
	source Source
	code   *redstuff.Code
	tree   *blob.Tree
	kept   []*redstuff.Stripe // the first stripes of the blob
	lists  []blob.RootList    // of the first stripes, where the source cannot change; they are not hashed again
	keep   *keeping           // of which they take

	progress func(encoded, handed int64) // never nil
}

// prepare is pass 1. What it keeps goes with drop, if not with pass 2.
func prepare(ctx context.Context, shape blob.Shape, src Source, keep *keeping, progress func(encoded, handed int64)) (*encodedBlob, error) {
	l, err := shape.Layout(src.Size())
	if err != nil {
		return nil, err
	}
	r, err := src.Open(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if progress == nil {
		progress = func(int64, int64) {}
	}
	p := &encodedBlob{source: src, code: redstuff.For(shape), progress: progress, keep: keep}
	full := false
	p.Commitment, p.tree, err = p.code.Commit(ctx, l, r, 0, func(s *redstuff.Stripe) error {
		progress(l.StripeOffset(s.Index())+l.StripeBytes(s.Index()), 0)
		if full = full || !keep.take(s.Bytes()); full { // only a prefix is kept
			s.Release()
		} else {
			p.kept = append(p.kept, s)
		}
		return nil
	})
	if err != nil {
		p.drop()
		return nil, fmt.Errorf("encode: %w", err)
	}
	return p, nil
}

// drop gives back what was kept and not sent.
func (p *encodedBlob) drop() {
	for _, s := range p.kept {
		p.keep.give(s.Bytes())
		s.Release()
	}
	p.kept = nil
}

// sharedStripe is a stripe on its way to several members; the last one releases it.
type sharedStripe struct {
	*redstuff.Stripe
	number uint32 // of the stripe in the blob
	users  atomic.Int32
}

func (s *sharedStripe) done() {
	if s.users.Add(-1) == 0 {
		s.Release()
	}
}

// stripes is pass 2: it gives every stripe that is wanted to each, in order. It may
// be called again; what was kept in memory is encoded again then.
func (p *encodedBlob) stripes(ctx context.Context, wanted func(stripe uint32) bool, each func(*sharedStripe) error) error {
	first := len(p.kept)
	for i := 0; len(p.kept) > 0; i++ {
		s := p.kept[0]
		p.kept[0] = nil
		p.kept = p.kept[1:]
		p.keep.give(s.Bytes())
		if !wanted(uint32(i)) {
			s.Release()
			continue
		}
		if err := each(&sharedStripe{Stripe: s, number: uint32(i)}); err != nil {
			p.drop()
			return err
		}
	}
	for first < p.Layout.Stripes && !wanted(uint32(first)) {
		first++ // already there: neither read nor encoded again
	}
	if first == p.Layout.Stripes {
		return nil
	}
	// What is left is a blob of its own with the same symbols.
	offset := p.Layout.StripeOffset(first)
	rest, err := p.Layout.Shape.LayoutWith(p.Layout.Size-offset, p.Layout.Seg)
	if err != nil {
		return err
	}
	r, err := p.source.Open(offset)
	if err != nil {
		return err
	}
	defer r.Close()
	lists, workers := p.lists[min(first, len(p.lists)):], 0
	if len(lists) == rest.Stripes {
		workers = 1 // which is faster than any line, and has fewest stripes in memory
	}
	return p.code.EncodeKnown(ctx, rest, r, lists, workers, func(s *redstuff.Stripe) error {
		number := uint32(first + s.Index())
		if got, err := blob.Climb(s.Tree().Root(), int(number), p.Layout.Stripes, p.tree.Path(int(number))); err != nil || got != p.Root {
			return fmt.Errorf("stripe %d: %w", number, ErrChanged)
		}
		if !wanted(number) {
			s.Release()
			return nil
		}
		return each(&sharedStripe{Stripe: s, number: number})
	})
}
