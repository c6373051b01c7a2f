package blobs

import (
	"context"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

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
	old := w.Last()
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
		if old := w.Last(); time.Since(old.At) < oldLookFor {
			return old, nil
		}
		return report.Now{}, r.Err
	case <-ctx.Done():
		return report.Now{}, ctx.Err()
	}
}

// Last is what Now read last.
func (w *Writer) Last() report.Now {
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
	if q.Total, err = Total(q.Cost); err != nil {
		return q, err
	}
	account, err := n.View.Account(w.Payer())
	if err != nil {
		return q, err
	}
	q.Balance = account.Balance
	return q, enough(q.Balance, q.Total)
}

// Total is the sum of a cost's parts, the fee at its most.
func Total(c client.Cost) (sum token.Amount, err error) {
	for _, part := range []token.Amount{c.Lease, c.Write, c.Allowance, c.Fee} {
		if sum, err = sum.Add(part); err != nil {
			return 0, fmt.Errorf("%w: %w", ledger.ErrFunds, err)
		}
	}
	return sum, nil
}

func enough(balance, cost token.Amount) error {
	if balance < cost {
		return fmt.Errorf("it costs %s, and the gateway has %s: %w", cost, balance, ledger.ErrFunds)
	}
	return nil
}

// affords refuses what the payer cannot pay, as the ledger was moments ago. Where that is not
// known the ledger itself will say.
func (w *Writer) affords(ctx context.Context, c client.Cost) error {
	total, err := Total(c)
	if err != nil {
		return err
	}
	n, err := w.Now(ctx)
	if err != nil {
		return nil
	}
	account, err := n.View.Account(w.Payer())
	if err != nil {
		return nil
	}
	return enough(account.Balance, total)
}
