package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// affords refuses, before any work, a store that the wallet cannot pay for. Only certain
// costs count: the wallet may have paid for the same bytes already.
func (w *storeCommand) affords(ctx context.Context, size int64) error {
	shape, err := w.s.Params.Shape()
	if err != nil {
		return err
	}
	layout, err := shape.Layout(size)
	if err != nil {
		return err
	}
	highest, err := client.HighestOr(w.s.Params, w.opts.HighestPrice)
	if err != nil {
		return err
	}
	epochs := w.opts.Epochs
	if epochs == 0 {
		epochs = w.s.Params.Registry.DefaultEpochs
	}
	cost, err := client.CostOf(w.s.Params, layout.StoredKiB(), epochs, false, w.opts.Allowance, highest)
	if err != nil {
		return err
	}
	cost.Fee = client.MostFee(w.s.Network.Genesis.ChainID(), w.s.Params.Fees, ledger.RegisterBlob{Manifest: blob.NewManifest(layout, blob.Hash{}), Epochs: epochs, Permanent: w.opts.Permanent, Allowance: w.opts.Allowance, HighestPrice: highest})
	least := cost
	least.Write = 0 // another may keep the same bytes
	short := w.covers(ctx, cost, least)
	if short == nil || w.paidBefore(ctx, uint64(size)) {
		return nil
	}
	return short
}

// covers is an error if the wallet cannot pay least; its message names cost.
func (w *storeCommand) covers(ctx context.Context, cost, least client.Cost) error {
	balance, err := w.balance(ctx)
	if err != nil {
		return err
	}
	sum := func(c client.Cost) (total token.Amount, err error) {
		for _, part := range []token.Amount{c.Lease, c.Write, c.Allowance, c.Fee} {
			if total, err = total.Add(part); err != nil {
				return 0, err
			}
		}
		return total, nil
	}
	all, err := sum(cost)
	if err != nil {
		return err
	}
	if needed, err := sum(least); err != nil || balance >= needed {
		return err
	}
	return fmt.Errorf("it costs %s; %s has %s, and %s is missing: %w; nothing was paid; walrus wallet show tells what it has, --dry-run what it takes", cost, w.s.key.Address(), balance, all-balance, ledger.ErrFunds)
}

// paidBefore says whether the wallet has a lease on a blob of that size: the same store may
// have been interrupted. It is true as well if the ledger does not tell.
func (w *storeCommand) paidBefore(ctx context.Context, size uint64) (before bool) {
	v, err := w.s.Remote.View(ctx)
	if err != nil {
		return true
	}
	const most = 1000 // of questions
	n := 0
	err = v.EachOwned(w.s.key.Address(), func(id blob.ID) error {
		if n++; before || n > most {
			before = true
			return nil
		}
		e, _, err := v.Blob(id)
		before = before || e.Manifest.Size == size
		return err
	})
	return before || err != nil
}

// explain adds advice to a refusal of the ledger.
func (w *storeCommand) explain(err error) error {
	if errors.Is(err, ledger.ErrFunds) && !strings.Contains(err.Error(), "is missing") {
		return fmt.Errorf("%w: %s pays; walrus wallet show tells what it has, --dry-run what it takes", err, w.s.key.Address())
	}
	return err
}

// viewFor is how long what was read of the ledger serves.
const viewFor = 3 * time.Second

// balanceSeen is the wallet's balance as it was read last. Files that are stored at the same
// time share it: the ledger itself refuses what they cannot pay together.
type balanceSeen struct {
	mu      sync.Mutex // guards the fields below
	at      time.Time  // zero: not read yet
	balance token.Amount
}

func (w *storeCommand) balance(ctx context.Context) (token.Amount, error) {
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	if time.Since(w.seen.at) < viewFor {
		return w.seen.balance, nil
	}
	v, at := w.s.View, w.s.At
	if w.several || time.Since(at) >= viewFor {
		var err error
		if v, err = w.s.Remote.View(ctx); err != nil {
			return 0, err
		}
		at = time.Now()
	}
	account, err := v.Account(w.s.key.Address())
	if err == nil {
		w.seen.at, w.seen.balance = at, account.Balance
	}
	return account.Balance, err
}
