package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// firstPass is pass 1 of a store over a source that still grows to its known size: each stripe
// is encoded once the source has all of it, so that the ID is known a stripe after the last
// byte. While bytes are awaited a pass holds the roots of its stripes and no buffer, however
// slowly they come: less than a thousandth of what its source has on the disk. All passes of a client have one place to encode in, a stripe at a time.
type firstPass struct {
	c      *Client
	layout blob.Layout
	src    Source
	began  time.Time
	cancel context.CancelFunc
	more   chan struct{} // of one: there has changed
	done   chan struct{} // closed when the fields at the end are set

	mu    sync.Mutex // guards the fields below
	there int64      // bytes of src that can be read

	// Set before done is closed.
	roots []blob.Hash     // of the stripes encoded so far
	lists []blob.RootList // of the first of these
	err   error
	took  time.Duration
}

// listBytes is the bytes of root lists that a pass keeps for pass 2, which hashes no symbol of
// their stripes then: about 3.6 GB of a blob of 28 shards.
const listBytes = 2 << 20

// beginPass begins a pass; nil for a blob of which nothing could be encoded before its last byte.
// What src has given once it always gives.
func (c *Client) beginPass(ctx context.Context, src Source) *firstPass {
	if c.Shape == (blob.Shape{}) {
		return nil
	}
	l, err := c.Shape.Layout(src.Size())
	if err != nil || l.Stripes < 2 {
		return nil // the store says why, or is as fast
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &firstPass{c: c, layout: l, src: src, began: time.Now(), cancel: cancel, more: make(chan struct{}, 1), done: make(chan struct{})}
	go p.run(ctx)
	return p
}

// grow tells the pass how many bytes of its source can be read by now.
func (p *firstPass) grow(there int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.there = there
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// end waits until the ID is known, and gives the store that begins with it; nil where there is
// no pass, or the source could not be read, which the store finds out again.
func (p *firstPass) end() *StoreAhead {
	if p == nil {
		return nil
	}
	<-p.done
	p.cancel()
	if p.err != nil {
		return nil
	}
	tree := blob.NewTree(p.roots)
	e := &encodedBlob{Commitment: blob.NewCommitment(p.layout, tree.Root()), source: p.src, lists: p.lists, code: redstuff.For(p.layout.Shape), tree: tree, keep: &p.c.kept, progress: func(int64, int64) {}}
	return &StoreAhead{p: e, took: p.took}
}

// drop ends a pass whose source does not become whole. It waits until the source is not read.
func (p *firstPass) drop() {
	if p != nil {
		p.cancel()
		<-p.done
	}
}

func (p *firstPass) run(ctx context.Context) {
	defer close(p.done)
	for i := range p.layout.Stripes {
		t, err := p.stripe(ctx, i)
		if err != nil {
			p.err = fmt.Errorf("encode: stripe %d: %w", i, err)
			return
		}
		if p.roots = append(p.roots, t.Root()); 64*p.layout.N*len(p.roots) <= listBytes {
			p.lists = append(p.lists, t.List())
		}
	}
	p.took = time.Since(p.began)
}

// stripe is the tree of a stripe, once the stripe is there and the place for encoding is free.
func (p *firstPass) stripe(ctx context.Context, i int) (*blob.StripeTree, error) {
	offset := p.layout.StripeOffset(i)
	if err := p.await(ctx, offset+p.layout.StripeBytes(i)); err != nil {
		return nil, err
	}
	select {
	case p.c.encoding <- struct{}{}:
		defer func() { <-p.c.encoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := p.src.Open(offset)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s, err := redstuff.For(p.layout.Shape).EncodeStripe(p.layout, i, r, 0)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	return s.Tree(), nil
}

func (p *firstPass) await(ctx context.Context, bytes int64) error {
	for {
		p.mu.Lock()
		there := p.there
		p.mu.Unlock()
		if there >= bytes {
			return nil
		}
		select {
		case <-p.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
