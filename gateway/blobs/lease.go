package blobs

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// begin begins a change of leases. It goes on when ctx ends, as a store does, so that its
// caller learns what was paid.
func (w *Writer) begin(ctx context.Context) (context.Context, func(), error) {
	if most := int64(w.o.AtOnce + w.o.Waiting); w.leasing.Add(1) > most {
		w.leasing.Add(-1)
		return nil, nil, fmt.Errorf("%w: %d leases are being changed", ErrBusy, most)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.Limit)
	return ctx, func() { cancel(); w.leasing.Add(-1) }, nil
}

// Extension is what is asked of an Extend: to add epochs, or to let the lease last until an
// epoch at least.
type Extension struct {
	Epochs uint64     // to add
	Until  unit.Epoch // at whose start the lease may end; counts where Epochs is 0
	// Paying, if not nil, is told where the lease will end and what that costs, before it is
	// signed. An error from it ends the Extend; nothing was paid then. Of a lease that lasts
	// until Until it is told nothing: it costs nothing.
	Paying func(now, until unit.Epoch, cost client.Cost) error
}

// Extend is ExtendAs for a number of epochs.
func (w *Writer) Extend(ctx context.Context, id blob.ID, epochs uint64) (registry.Entry, token.Amount, error) {
	return w.ExtendAs(ctx, id, Extension{Epochs: epochs})
}

// ExtendAs lengthens the payer's lease on a blob. It gives the entry as the ledger shows it
// after that, and what was paid; where the ledger cannot be read any more, as both follow from
// what it showed before. An Extend that has begun goes on when ctx ends.
//
// Errors: client.ErrUnknownBlob where the blob has ended or never was; ledger.ErrNotOwner,
// ledger.ErrEpochs and ledger.ErrFunds, before anything is sent where the ledger shows it;
// ErrBusy; those of client.Send.
func (w *Writer) ExtendAs(ctx context.Context, id blob.ID, x Extension) (e registry.Entry, paid token.Amount, err error) {
	ctx, done, err := w.begin(ctx)
	if err != nil {
		return e, 0, err
	}
	defer done()
	leave, err := w.changes.take(ctx, id)
	if err != nil {
		return e, 0, err
	}
	defer leave()
	n, e, err := w.live(ctx, id)
	if err != nil {
		return e, 0, err
	}
	end, ok := e.OwnedBy(w.Payer(), n.Head.Epoch)
	if !ok {
		return e, 0, fmt.Errorf("%s: %w", id, ledger.ErrNotOwner)
	}
	epochs := x.Epochs
	if epochs == 0 && x.Until > 0 {
		if end >= x.Until {
			return e, 0, nil
		}
		epochs = x.Until.Since(end)
	}
	body := ledger.Extend{Blob: id, Epochs: epochs}
	cost, err := w.mayExtend(n, e, end, body)
	if err == nil && x.Paying != nil {
		err = x.Paying(n.Head.Epoch, end.Plus(epochs), cost)
	}
	if err != nil {
		return e, 0, err
	}
	if _, err = w.c.Send(ctx, w.key, body); err != nil {
		return e, 0, err
	}
	w.forget(id)
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if after, shown, err := w.live(ctx, id); err != nil {
		e, _ = e.Extended(w.Payer(), epochs, n.Params.Registry)
	} else {
		e = shown
		if now, err := client.CostOf(after.Params, shown.Units, epochs, true, 0, 0); err == nil {
			cost = now
		}
	}
	end, _ = e.OwnedBy(w.Payer(), n.Head.Epoch)
	w.feed.add(Change{What: Extended, Blob: id, Size: int64(e.Manifest.Size), End: end, Cost: cost.Lease})
	return e, cost.Lease, nil
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

// mayExtend works out what an extension of a lease costs that ends at the start of end, and
// refuses one that the ledger would refuse.
func (w *Writer) mayExtend(n report.Now, e registry.Entry, end unit.Epoch, body ledger.Extend) (cost client.Cost, err error) {
	most := n.Params.Registry.MaxEpochs
	if body.Epochs < 1 || body.Epochs > most {
		return cost, fmt.Errorf("%d epochs, 1 to %d: %w", body.Epochs, most, ledger.ErrEpochs)
	}
	if until, last := end.Plus(body.Epochs), n.Head.Epoch.Plus(most); until > last {
		return cost, fmt.Errorf("until epoch %d, at most %d: %w", until, last, ledger.ErrEpochs)
	}
	if cost, err = client.CostOf(n.Params, e.Units, body.Epochs, true, 0, 0); err != nil {
		return cost, fmt.Errorf("%w: %w", ledger.ErrFunds, err)
	}
	cost.Fee = client.MostFee(w.c.Chain(), n.Params.Fees, body)
	total, err := Total(cost)
	if err != nil {
		return cost, err
	}
	account, err := n.View.Account(w.Payer())
	if err != nil {
		return cost, err
	}
	return cost, enough(account.Balance, total)
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
	ctx, done, err := w.begin(ctx)
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
	if err == nil {
		w.feed.add(Change{What: Deleted, Blob: id, Size: int64(e.Manifest.Size), Refund: d.Refund})
	}
	return d, err
}
