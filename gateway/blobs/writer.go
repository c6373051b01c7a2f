package blobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// WriterOptions are the limits of a Writer.
type WriterOptions struct {
	AtOnce  int           // stores
	Waiting int           // stores that wait for those
	Limit   time.Duration // for a store, once its body is here
	Reader  *Reader       // gets the bytes of what was stored; nil: none does
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
	changes atomic.Int64 // of leases, under way
	looks   singleflight.Group
	users   *users

	mu  sync.Mutex // guards now
	now report.Now
}

// NewWriter makes a Writer on the client's network. The client stays the caller's.
func NewWriter(c *client.Client, key token.Key, o WriterOptions) *Writer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{c: c, key: key, o: o, slots: make(chan struct{}, o.AtOnce), users: newUsers()}
}

// Payer is the account that pays.
func (w *Writer) Payer() token.Address { return w.key.Address() }

// Store stores a blob. A store that has begun goes on when ctx ends, for as long as the
// writer's limit: what was paid for is certified, and who asks again finds it there. No
// deletion of the blob begins between o.Identified and the end of the store: a user that
// notes in o.Identified that it needs the lease keeps it. Errors: those of client.Store, and
// ErrBusy.
func (w *Writer) Store(ctx context.Context, src client.Source, o client.StoreOptions) (client.StoreResult, error) {
	if err := w.enter(ctx); err != nil {
		return client.StoreResult{}, err
	}
	defer func() { <-w.slots }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.Limit)
	defer cancel()
	identified, entered := o.Identified, false
	o.Identified = func(id blob.ID) error {
		if identified != nil {
			if err := identified(id); err != nil {
				return err
			}
		}
		err := w.users.enter(ctx, id)
		entered = err == nil
		return err
	}
	out, err := w.c.Store(ctx, w.key, src, o)
	if entered {
		w.users.leave(out.ID)
	}
	if err == nil {
		w.stored(out, src)
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

// stored tells the reader of a blob that was stored.
func (w *Writer) stored(out client.StoreResult, src client.Source) {
	if w.o.Reader == nil {
		return
	}
	w.o.Reader.Forget(out.ID)
	c, err := out.Entry.Manifest.Commitment()
	if err == nil {
		err = w.o.Reader.Warm(c, src)
	}
	if err != nil {
		w.o.Log.Warn("a blob that was stored is not in the cache", "blob", out.ID, "err", err)
	}
}

const (
	// lookFor is how long the rules and the balance are used that were read last.
	lookFor = 3 * time.Second
	// oldLookFor is how long they are used while the ledger gives none.
	oldLookFor = time.Minute
	// lookLimit is how long a question for them may take.
	lookLimit = 20 * time.Second
)

// Now is the ledger as it was moments ago, or within a minute where it cannot be read. It is
// asked once for all that want to know at the same time.
func (w *Writer) Now(ctx context.Context) (report.Now, error) {
	old := w.last()
	if time.Since(old.At) < lookFor {
		return old, nil
	}
	answer := w.looks.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLimit) // for all that wait
		defer cancel()
		n, err := w.look(ctx)
		if err == nil {
			w.mu.Lock()
			w.now = n
			w.mu.Unlock()
		}
		return n, err
	})
	select {
	case r := <-answer:
		if r.Err == nil {
			return r.Val.(report.Now), nil
		}
		if old := w.last(); time.Since(old.At) < oldLookFor {
			return old, nil
		}
		return report.Now{}, r.Err
	case <-ctx.Done():
		return report.Now{}, ctx.Err()
	}
}

// last is what Now read last.
func (w *Writer) last() report.Now {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *Writer) look(ctx context.Context, keys ...[]byte) (report.Now, error) {
	v, err := w.c.View(ctx)
	if err != nil {
		return report.Now{}, err
	}
	return report.Look(v, time.Now(), append(keys, ledger.KeyAccount(w.Payer()), ledger.KeyUsage())...)
}

// Quote is what a store costs, and what the payer has.
type Quote struct {
	client.Cost
	Total    token.Amount // of the parts, the fee at its most
	Balance  token.Amount // of the payer
	Until    unit.Epoch   // the lease ends when it begins
	StoredAs unit.KiB     // what is paid for
}

// Quote works out what a blob of size bytes costs that the network does not keep yet, and
// refuses what cannot be stored at all, so that no body is read in vain.
//
// Errors, wrapped: ledger.ErrEpochs, ledger.ErrCapacity; with the quote, ledger.ErrFunds.
func (w *Writer) Quote(ctx context.Context, size int64, o client.StoreOptions) (q Quote, err error) {
	n, err := w.Now(ctx)
	if err != nil {
		return q, err
	}
	shape, err := n.Params.Shape()
	if err != nil {
		return q, err
	}
	layout, err := shape.Layout(size)
	if err != nil {
		return q, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	epochs := o.Epochs
	if epochs == 0 {
		epochs = n.Params.Registry.DefaultEpochs
	}
	if most := n.Params.Registry.MaxEpochs; epochs > most {
		return q, fmt.Errorf("%d epochs, at most %d: %w", epochs, most, ledger.ErrEpochs)
	}
	q.StoredAs, q.Until = layout.StoredKiB(), n.Head.Epoch.Plus(epochs)
	if err := n.Room(q.StoredAs); err != nil {
		return q, err
	}
	highest, err := client.HighestOr(n.Params, o.HighestPrice)
	if err != nil {
		return q, err
	}
	if q.Cost, err = client.CostOf(n.Params, q.StoredAs, epochs, false, o.Allowance, highest); err != nil {
		return q, err
	}
	q.Fee = client.MostFee(w.c.Chain(), n.Params.Fees, ledger.RegisterBlob{Manifest: blob.NewManifest(layout, blob.Hash{}), Epochs: epochs, Owner: o.Owner, Permanent: o.Permanent, Allowance: o.Allowance, HighestPrice: highest})
	for _, part := range []token.Amount{q.Lease, q.Write, q.Allowance, q.Fee} {
		if q.Total, err = q.Total.Add(part); err != nil {
			return q, err
		}
	}
	account, err := n.View.Account(w.Payer())
	if err != nil {
		return q, err
	}
	if q.Balance = account.Balance; q.Balance < q.Total {
		return q, fmt.Errorf("it costs %s, and the gateway has %s: %w", q.Total, q.Balance, ledger.ErrFunds)
	}
	return q, nil
}

// change begins a change of leases. It goes on when ctx ends, as a store does, so that its
// caller learns what was paid.
func (w *Writer) change(ctx context.Context) (context.Context, func(), error) {
	if most := int64(w.o.AtOnce + w.o.Waiting); w.changes.Add(1) > most {
		w.changes.Add(-1)
		return nil, nil, fmt.Errorf("%w: %d leases are being changed", ErrBusy, most)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.Limit)
	return ctx, func() { cancel(); w.changes.Add(-1) }, nil
}

// Extend adds epochs to the payer's lease on a blob. It gives the entry as the ledger shows it
// after that, and what was paid; where the ledger cannot be read any more, as both follow from
// what it showed before. An Extend that has begun goes on when ctx ends.
//
// Errors: client.ErrUnknownBlob where the blob has ended or never was; ledger.ErrNotOwner,
// ledger.ErrEpochs and ledger.ErrFunds, before anything is sent where the ledger shows it;
// ErrBusy; those of client.Send.
func (w *Writer) Extend(ctx context.Context, id blob.ID, epochs uint64) (e registry.Entry, paid token.Amount, err error) {
	ctx, done, err := w.change(ctx)
	if err != nil {
		return e, 0, err
	}
	defer done()
	n, e, err := w.live(ctx, id)
	if err != nil {
		return e, 0, err
	}
	body := ledger.Extend{Blob: id, Epochs: epochs}
	if paid, err = w.mayExtend(n, e, body); err != nil {
		return e, 0, err
	}
	if _, err = w.c.Send(ctx, w.key, body); err != nil {
		return e, 0, err
	}
	w.forget(id)
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	after, shown, err := w.live(ctx, id)
	if err != nil {
		return extended(e, w.Payer(), epochs, n.Params.Registry), paid, nil
	}
	cost, err := client.CostOf(after.Params, shown.Units, epochs, true, 0, 0)
	if err == nil {
		paid = cost.Lease
	}
	return shown, paid, nil
}

// live is a blob's entry in the ledger as it is now.
func (w *Writer) live(ctx context.Context, id blob.ID) (n report.Now, e registry.Entry, err error) {
	if n, err = w.look(ctx, ledger.KeyBlob(id)); err != nil {
		return n, e, err
	}
	e, known, err := n.View.Blob(id)
	if err == nil && (!known || !e.Live(n.Head.Epoch)) {
		err = fmt.Errorf("%s: %w: %w", id, client.ErrUnknownBlob, ledger.ErrUnknownBlob)
	}
	return n, e, err
}

// mayExtend works out what an extension costs, and refuses one that the ledger would refuse.
func (w *Writer) mayExtend(n report.Now, e registry.Entry, body ledger.Extend) (token.Amount, error) {
	end, ok := e.OwnedBy(w.Payer(), n.Head.Epoch)
	if !ok {
		return 0, fmt.Errorf("%s: %w", body.Blob, ledger.ErrNotOwner)
	}
	most := n.Params.Registry.MaxEpochs
	if body.Epochs < 1 || body.Epochs > most {
		return 0, fmt.Errorf("%d epochs, 1 to %d: %w", body.Epochs, most, ledger.ErrEpochs)
	}
	if until, last := end.Plus(body.Epochs), n.Head.Epoch.Plus(most); until > last {
		return 0, fmt.Errorf("until epoch %d, at most %d: %w", until, last, ledger.ErrEpochs)
	}
	cost, err := client.CostOf(n.Params, e.Units, body.Epochs, true, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ledger.ErrFunds, err)
	}
	total, err := cost.Lease.Add(client.MostFee(w.c.Chain(), n.Params.Fees, body))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ledger.ErrFunds, err)
	}
	account, err := n.View.Account(w.Payer())
	if err != nil {
		return 0, err
	}
	if account.Balance < total {
		return 0, fmt.Errorf("it costs %s, and the gateway has %s: %w", total, account.Balance, ledger.ErrFunds)
	}
	return cost.Lease, nil
}

// extended is an entry after its owner added epochs to its claim, as the ledger's rules have
// it: what has another price than the owner's last lease is a lease of its own.
func extended(e registry.Entry, owner token.Address, epochs uint64, p registry.Params) registry.Entry {
	end, _ := e.OwnedBy(owner, 0)
	price, err := p.PriceOf(e.Units)
	added := registry.Lease{Owner: owner, Payer: owner, Start: end, End: end.Plus(epochs), Price: price}
	e.Leases = slices.Clone(e.Leases)
	i, own := e.LastOf(owner, owner)
	if own && err == nil && e.Leases[i].End == end && e.Leases[i].Price == price {
		e.Leases[i].End = added.End
		return e
	}
	if own {
		added.Permanent = e.Leases[i].Permanent
		added.Renewal, e.Leases[i].Renewal = e.Leases[i].Renewal, registry.Renewal{}
	}
	e.Leases = append(e.Leases, added)
	return e
}

// Deletion is what came of a Delete.
type Deletion struct {
	Refund token.Amount // to the payer, less the fee of the ledger's rules
	Others int          // leases that keep the blob on the network
}

// Delete gives up the payer's leases on a blob, unless needed says that another user needs
// them; it is asked when no store of the blob is under way. A Delete that has begun goes on
// when ctx ends. Errors: ErrNeeded; client.ErrUnknownBlob where it has ended or never was;
// ledger.ErrNotOwner, ledger.ErrPermanent; ErrBusy, also while the blob is being stored; those
// of client.Send.
func (w *Writer) Delete(ctx context.Context, id blob.ID, needed func() bool) (d Deletion, err error) {
	ctx, done, err := w.change(ctx)
	if err != nil {
		return d, err
	}
	defer done()
	ended, err := w.users.end(id)
	if err != nil {
		return d, err
	}
	defer ended()
	if needed() {
		return d, ErrNeeded
	}
	n, e, err := w.live(ctx, id)
	if err != nil {
		return d, err
	}
	d.Refund, d.Others = n.RefundOf(e, w.Payer())
	_, err = w.c.Send(ctx, w.key, ledger.Delete{Blob: id})
	w.forget(id)
	return d, err
}

func (w *Writer) forget(id blob.ID) {
	if w.o.Reader != nil {
		w.o.Reader.Forget(id)
	}
}
