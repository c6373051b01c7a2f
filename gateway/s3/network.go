package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/unit"
)

// Network is the Storage of a gateway on a network.
type Network struct {
	Client *client.Client
	Bodies *blobs.Spool
	Reader *blobs.Reader
	Writer *blobs.Writer
	// Relied says that another door needs the wallet's lease on a blob; nil: none does.
	Relied func(blob.ID) bool
}

// Spool refuses at once what the wallet could not pay.
func (n Network) Spool(ctx context.Context, r io.Reader, declared int64) (Body, error) {
	if declared > 0 {
		if _, err := n.Writer.Quote(ctx, declared, client.StoreOptions{}); err != nil {
			return nil, translated(err)
		}
	}
	b, err := n.Bodies.Take(ctx, r, declared)
	if err != nil {
		return nil, translated(err)
	}
	return b, nil
}

// translated adds the Storage's error that another package's error stands for.
func translated(err error) error {
	for _, t := range []struct{ from, to error }{
		{blobs.ErrSpoolFull, ErrSpoolFull}, {blobs.ErrTooLarge, ErrTooLarge}, {blobs.ErrBusy, ErrBusy}, {ledger.ErrFunds, ErrFunds},
		{ledger.ErrCapacity, ErrNoRoom}, {ledger.ErrNotOwner, ErrNoLease}, {client.ErrUnknownBlob, ErrNoLease},
	} {
		if errors.Is(err, t.from) {
			return fmt.Errorf("%w: %w", t.to, err)
		}
	}
	return err
}

// Store leaves an allowance with the lease, at today's price.
func (n Network) Store(ctx context.Context, src client.Source, o Order) (Stored, error) {
	options := client.StoreOptions{Epochs: o.Epochs, Identified: o.Identified}
	if o.Renewed > 0 {
		q, err := n.Writer.Quote(ctx, src.Size(), client.StoreOptions{Epochs: o.Renewed})
		if err != nil {
			return Stored{}, translated(err)
		}
		options.Allowance = q.Lease
	}
	out, err := n.Writer.Store(ctx, src, options)
	if err != nil {
		return Stored{}, translated(err)
	}
	l, ok := n.leaseOf(out.Entry)
	if !ok {
		return Stored{}, fmt.Errorf("%s: %w", out.ID, ErrNoLease)
	}
	return Stored{out.ID, out.Registered, l}, nil
}

// leaseOf is the payer's lease on a blob: from the first of its leases to the last.
func (n Network) leaseOf(e registry.Entry) (out Lease, ok bool) {
	for _, l := range e.Leases {
		if l.Owner != n.Writer.Payer() {
			continue
		}
		if !ok || l.Start < out.Start {
			out.Start = l.Start
		}
		out.End, ok = max(out.End, l.End), true
	}
	return out, ok
}

// Lease asks the ledger.
func (n Network) Lease(ctx context.Context, id blob.ID) (Lease, error) {
	now, err := n.look(ctx, ledger.KeyBlob(id))
	if err != nil {
		return Lease{}, err
	}
	e, known, err := now.View.Blob(id)
	if err != nil {
		return Lease{}, err
	}
	l, ok := n.leaseOf(e)
	if !known || !ok || !e.Live(now.Head.Epoch) {
		return Lease{}, fmt.Errorf("%s: %w", id, ErrNoLease)
	}
	return l, nil
}

func (n Network) look(ctx context.Context, keys ...[]byte) (report.Now, error) {
	v, err := n.Client.View(ctx)
	if err != nil {
		return report.Now{}, err
	}
	return report.Look(v, time.Now(), keys...)
}

// Delete gives the lease back to the wallet, unless another door needs it.
func (n Network) Delete(ctx context.Context, id blob.ID) error {
	_, err := n.Writer.Delete(ctx, id, func() bool { return n.Relied != nil && n.Relied(id) })
	if errors.Is(err, blobs.ErrNeeded) {
		return nil // that door gives it back
	}
	return translated(err)
}

// Extend lengthens the lease.
func (n Network) Extend(ctx context.Context, id blob.ID, epochs uint64) (unit.Epoch, error) {
	e, _, err := n.Writer.Extend(ctx, id, epochs)
	if err != nil {
		return 0, translated(err)
	}
	l, _ := n.leaseOf(e)
	return l.End, nil
}

// ReadRange reads through the gateway's cache.
func (n Network) ReadRange(ctx context.Context, id blob.ID, offset, length int64, w io.Writer) error {
	b, err := n.Reader.Find(ctx, id)
	if err != nil {
		return translated(err)
	}
	return translated(n.Reader.ReadRange(ctx, b, offset, length, w))
}

// Clock is the ledger's, of moments ago.
func (n Network) Clock(ctx context.Context) (Clock, error) {
	now, err := n.Writer.Now(ctx)
	return Clock{now.Head.Epoch, now.Begins}, err
}

// Owned rests, for its completeness, on the node that answers.
func (n Network) Owned(ctx context.Context) (out []Owned, err error) {
	v, err := n.Client.View(ctx)
	if err != nil {
		return nil, err
	}
	now, err := report.LookAndList(v, time.Now(), ledger.PrefixOwned(n.Writer.Payer()))
	if err != nil {
		return nil, err
	}
	var ids []blob.ID
	var keys [][]byte
	err = now.View.EachOwned(n.Writer.Payer(), func(id blob.ID) error {
		ids, keys = append(ids, id), append(keys, ledger.KeyBlob(id))
		return nil
	})
	if err == nil {
		err = now.View.Prefetch(keys...)
	}
	if err != nil {
		return nil, err
	}
	at := map[blob.ID]unit.Height{}
	for _, id := range ids {
		e, known, err := now.View.Blob(id)
		if err != nil {
			return nil, err
		}
		l, ok := n.leaseOf(e)
		if known && ok && e.Certified() && e.Live(now.Head.Epoch) {
			out = append(out, Owned{id, int64(e.Manifest.Size), l})
			at[id] = e.CertifiedHeight
		}
	}
	slices.SortStableFunc(out, func(a, b Owned) int { return cmp.Compare(at[b.ID], at[a.ID]) })
	return out, nil
}
