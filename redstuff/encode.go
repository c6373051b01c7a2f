package redstuff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// ErrTooLong is returned when a reader gives more bytes than the layout says.
var ErrTooLong = errors.New("input is longer than its layout")

// laneBytes bounds what the stripes in work may hold together, unless one alone is
// larger: small stripes are encoded side by side, a large one by all workers.
const laneBytes = 64 << 20

// Encode reads exactly l.Size bytes from r (io.ErrUnexpectedEOF for fewer,
// ErrTooLong for more), encodes the stripes with up to workers goroutines
// (GOMAXPROCS if workers <= 0) and hands them to each, in order, from the calling
// goroutine. Each owns the stripe it is given: it may keep it, and calls Release
// when it no longer needs it. Beside what is kept, memory is a few stripes.
//
// Encode returns when all is still: after an error or a cancelled ctx it waits for
// a Read that is under way.
func (c *Code) Encode(ctx context.Context, l blob.Layout, r io.Reader, workers int, each func(*Stripe) error) error {
	return c.EncodeKnown(ctx, l, r, nil, workers, each)
}

// EncodeKnown is Encode of bytes that were encoded before: lists are the root lists of the first
// stripes. These are extended, and no symbol of them is hashed, which is most of the work: the
// caller answers for r giving the same bytes as then. Such a stripe has no Parity.
func (c *Code) EncodeKnown(ctx context.Context, l blob.Layout, r io.Reader, lists []blob.RootList, workers int, each func(*Stripe) error) error {
	if l.Shape != c.shape {
		return fmt.Errorf("encode: layout of %d shards given to the code of %d", l.N, c.shape.N)
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	lanes := max(1, min(workers, l.Stripes, laneBytes/c.stripeBytes(l)))
	e := &encoding{
		code: c, layout: l, input: r, lists: lists, workers: (workers + lanes - 1) / lanes,
		slots: make(chan struct{}, lanes+1), todo: make(chan *job), queue: make(chan *job, lanes+1),
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { e.read(ctx) })
	for range lanes {
		wg.Go(e.work)
	}
	if err := e.deliver(ctx, each); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

// Commit encodes like Encode and gives what the blob commits to, with the tree over
// its stripe roots. each may be nil: then this is only the way to the ID.
func (c *Code) Commit(ctx context.Context, l blob.Layout, r io.Reader, workers int, each func(*Stripe) error) (blob.Commitment, *blob.Tree, error) {
	roots := make([]blob.Hash, 0, l.Stripes)
	err := c.Encode(ctx, l, r, workers, func(s *Stripe) error {
		roots = append(roots, s.Tree().Root())
		if each == nil {
			s.Release()
			return nil
		}
		return each(s)
	})
	if err != nil {
		return blob.Commitment{}, nil, err
	}
	tree := blob.NewTree(roots)
	return blob.NewCommitment(l, tree.Root()), tree, nil
}

// EncodeStripe encodes stripe i alone with up to workers goroutines (GOMAXPROCS if workers <= 0).
// r gives its bytes of the blob (io.ErrUnexpectedEOF for fewer) and is not read further. The
// caller owns the stripe, as in Encode.
func (c *Code) EncodeStripe(l blob.Layout, i int, r io.Reader, workers int) (*Stripe, error) {
	if l.Shape != c.shape || i < 0 || i >= l.Stripes {
		return nil, fmt.Errorf("encode: stripe %d of a layout of %d stripes and %d shards given to the code of %d", i, l.Stripes, l.N, c.shape.N)
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	s := c.newStripe(l, i)
	err := s.fill(l, r)
	if err == nil {
		err = s.encode(workers, nil)
	}
	if err != nil {
		s.Release()
		return nil, fmt.Errorf("encode: %w", err)
	}
	return s, nil
}

// encoding is one call of Encode: a reader, some lanes that encode a stripe each, and the
// caller, which takes them in order.
type encoding struct {
	code    *Code
	layout  blob.Layout
	input   io.Reader
	lists   []blob.RootList // of the first stripes, where they are known
	workers int             // goroutines a lane may use
	slots   chan struct{}   // one for each stripe between reader and caller
	todo    chan *job       // from the reader to the lanes
	queue   chan *job       // the same jobs to the caller, in order
}

type job struct {
	stripe *Stripe
	err    error         // set before done is closed
	done   chan struct{} // closed when the stripe is encoded
}

// read fills stripes from the input, in order, until an error or the end. The last
// stripe is not passed on before the input is known to end with it, so that input
// of another size never gets an ID.
func (e *encoding) read(ctx context.Context) {
	defer close(e.queue)
	defer close(e.todo)
	for i := range e.layout.Stripes {
		select {
		case e.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		j := &job{stripe: e.code.newStripe(e.layout, i), done: make(chan struct{})}
		if j.err = j.stripe.fill(e.layout, e.input); j.err == nil && i == e.layout.Stripes-1 {
			j.err = e.ends()
		}
		if j.err != nil {
			close(j.done)
			e.queue <- j
			return
		}
		e.queue <- j
		select {
		case e.todo <- j:
		case <-ctx.Done():
			j.err = ctx.Err()
			close(j.done)
			return
		}
	}
}

// fill reads the stripe's bytes of the blob.
func (s *Stripe) fill(l blob.Layout, r io.Reader) error {
	source := s.source()
	want := int(l.StripeBytes(s.index))
	if _, err := io.ReadFull(r, source[:want]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read stripe %d of %d: %w", s.index, l.Stripes, err)
	}
	clear(source[want:])
	return nil
}

// ends checks that the input has no more bytes.
func (e *encoding) ends() error {
	var extra [1]byte
	switch _, err := io.ReadFull(e.input, extra[:]); {
	case err == nil:
		return fmt.Errorf("%d bytes: %w", e.layout.Size, ErrTooLong)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("read the end: %w", err)
	}
	return nil
}

func (e *encoding) work() {
	for j := range e.todo {
		var known blob.RootList
		if i := j.stripe.index; i < len(e.lists) {
			known = e.lists[i]
		}
		j.err = j.stripe.encode(e.workers, known)
		close(j.done)
	}
}

func (e *encoding) deliver(ctx context.Context, each func(*Stripe) error) error {
	for j := range e.queue {
		<-j.done
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if j.err != nil {
			return j.err
		}
		if err := each(j.stripe); err != nil {
			return fmt.Errorf("stripe %d: %w", j.stripe.index, err)
		}
		<-e.slots
	}
	return context.Cause(ctx)
}
