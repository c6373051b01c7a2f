package blobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

// WriterOptions are the limits of a Writer.
type WriterOptions struct {
	AtOnce  int           // stores
	Waiting int           // stores that wait for those
	Limit   time.Duration // for a store, once its body is here
	Reader  *Reader       // its cache gets the bytes of what is stored; nil: none does
	Log     *slog.Logger  // nil: silent
}

// DefaultWriter are the limits of a gateway.
func DefaultWriter() WriterOptions {
	return WriterOptions{AtOnce: 16, Waiting: 256, Limit: 15 * time.Minute}
}

// Writer stores blobs, and pays for them with one key. All methods may be called at the same
// time.
type Writer struct {
	c   *client.Client
	key token.Key
	o   WriterOptions

	slots   chan struct{}
	waiting atomic.Int64
	leasing atomic.Int64 // changes of leases but stores, that run or wait
	changes changes
	looks   singleflight.Group
	users   *users
	feed    *Feed

	mu  sync.Mutex // guards now
	now report.Now
}

// NewWriter makes a Writer on the client's network. The client stays the caller's.
func NewWriter(c *client.Client, key token.Key, o WriterOptions) *Writer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{c: c, key: key, o: o, slots: make(chan struct{}, o.AtOnce), users: newUsers(), feed: newFeed(time.Now())}
}

// Feed is what the Writer has changed.
func (w *Writer) Feed() *Feed { return w.feed }

// Payer is the account that pays.
func (w *Writer) Payer() token.Address { return w.key.Address() }

// Store stores a blob. A store that has begun goes on when ctx ends, for as long as the
// writer's limit: what was paid for is certified, and a client that asks again finds it there.
// Stores of the same bytes and other changes of their lease have turns, so that none is paid
// twice. o.Paying is asked only where something is to be paid, and the payer has it. No
// deletion of the blob begins between o.Identified and the end of the store: a user that notes
// in o.Identified that it needs the lease keeps it.
//
// Errors: those of client.Store, and with them what was paid all the same; ErrBusy;
// ledger.ErrFunds before anything is sent.
func (w *Writer) Store(ctx context.Context, src client.Source, o client.StoreOptions) (client.StoreResult, error) {
	if err := w.enter(ctx); err != nil {
		return client.StoreResult{}, err
	}
	defer func() { <-w.slots }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.Limit)
	defer cancel()
	var leaves []func()
	defer func() {
		for _, leave := range leaves {
			leave()
		}
	}()
	warm := w.warming(src)
	defer warm.wait()
	identified, paying := o.Identified, o.Paying
	o.Identified = func(id blob.ID) (err error) {
		// The caller's own lock comes first, as where it asks for a Delete or an Extend.
		if identified != nil {
			err = identified(id)
		}
		if err == nil {
			err = w.users.enter(ctx, id)
		}
		if err != nil {
			return err
		}
		leaves = append(leaves, func() { w.users.leave(id) })
		turn, err := w.changes.take(ctx, id)
		if err != nil {
			return err
		}
		leaves = append(leaves, turn)
		warm.id = id
		return nil
	}
	o.Progress = warm.watch(o.Progress)
	o.Paying = func(cost client.Cost) error {
		if err := w.affords(ctx, cost); err != nil {
			return err
		}
		if paying != nil {
			return paying(cost)
		}
		return nil
	}
	if b, ok := src.(*Body); ok {
		o.Ahead = b.ahead
	}
	out, err := w.c.Store(ctx, w.key, src, o)
	if err == nil && (out.Registered || out.Extended > 0) {
		c := Change{What: Certified, Blob: out.ID, Size: out.Size, End: out.EndEpoch, Cost: out.Price + out.Write + out.Allowance}
		if !out.Registered {
			c.What = Extended
		}
		w.feed.add(c)
	}
	if err == nil && w.o.Reader != nil {
		w.o.Reader.Forget(out.ID)
		if c, err := out.Entry.Manifest.Commitment(); err == nil {
			warm.begin(c.Layout)
		}
	}
	return out, err
}

// enter waits for a place.
func (w *Writer) enter(ctx context.Context) error {
	if w.waiting.Add(1) > int64(w.o.AtOnce+w.o.Waiting) {
		w.waiting.Add(-1)
		return fmt.Errorf("%w: %d stores are under way or wait", ErrBusy, w.o.AtOnce+w.o.Waiting)
	}
	defer w.waiting.Add(-1)
	select {
	case w.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Writer) forget(id blob.ID) {
	if w.o.Reader != nil {
		w.o.Reader.Forget(id)
	}
}
