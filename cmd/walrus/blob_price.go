package main

import (
	"context"
	"fmt"
	"io"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// dryRun is the preview of a store.
type dryRun struct {
	Blob         blob.ID      `json:"blob"`
	Bytes        int64        `json:"bytes"`
	EncodedBytes int64        `json:"encoded_bytes"`
	StoredKiB    unit.KiB     `json:"stored_kib"` // what is paid for
	Epochs       uint64       `json:"epochs"`
	Price        token.Amount `json:"price"` // for the epochs
	Write        token.Amount `json:"write_price"`
	Allowance    token.Amount `json:"allowance"`
	Highest      token.Amount `json:"highest_price,omitempty"`
	RenewsUntil  unit.Epoch   `json:"renews_until_epoch,omitempty"` // about, at today's price
	MostFee      token.Amount `json:"most_fee"`
	Already      bool         `json:"already"`             // the network keeps it already: nothing would be sent
	Encrypted    bool         `json:"encrypted,omitempty"` // and so Blob is the ID of this encryption: the next has another
}

// price works out the ID, size and cost of a store.
func (w *storeCommand) price(ctx context.Context, file string, src client.Source) (*dryRun, error) {
	shape, err := w.s.Params.Shape()
	if err != nil {
		return nil, err
	}
	bar := w.a.newBar("encode "+nameText(file), src.Size())
	defer bar.end()
	c, err := client.Identify(ctx, shape, src, bar.set)
	if err != nil {
		return nil, err
	}
	d := dryRun{Blob: c.ID, Bytes: c.Layout.Size, EncodedBytes: c.Layout.EncodedBytes(), StoredKiB: c.Layout.StoredKiB(), Epochs: w.opts.Epochs, Allowance: w.opts.Allowance}
	if d.Epochs == 0 {
		d.Epochs = w.s.Params.Registry.DefaultEpochs
	}
	e, known, err := w.s.View.Blob(c.ID)
	if err != nil {
		return nil, err
	}
	d.Already = known && e.Certified() && e.Live(w.s.Head.Epoch)
	return &d, d.price(w.s, c.Manifest(), w.opts)
}

// price fills in the cost.
func (d *dryRun) price(s *session, m blob.Manifest, o client.StoreOptions) error {
	highest, err := client.HighestOr(s.Params, o.HighestPrice)
	if err != nil {
		return err
	}
	cost, err := client.CostOf(s.Params, d.StoredKiB, d.Epochs, d.Already, o.Allowance, highest)
	if err != nil {
		return err
	}
	d.Price, d.Write = cost.Lease, cost.Write
	if o.Allowance > 0 {
		renewal := registry.Lease{End: s.Head.Epoch.Plus(d.Epochs), Renewal: registry.Renewal{Left: o.Allowance, Highest: highest}}
		d.Highest, d.RenewsUntil = highest, renewal.End.Plus(renewal.RenewableEpochs(s.Params.Registry, d.StoredKiB))
	}
	body := ledger.RegisterBlob{Manifest: m, Epochs: d.Epochs, Permanent: o.Permanent, Allowance: o.Allowance, HighestPrice: highest}
	d.MostFee = client.MostFee(s.Network.Genesis.ChainID(), s.Params.Fees, body)
	return nil
}

// print prints the preview of a file's store.
func (d *dryRun) print(out io.Writer, file string, s *session) error {
	t := newTable(out)
	t.row("file", nameText(file))
	if d.Encrypted {
		t.row("blob", "another each time that it is encrypted")
	} else {
		t.row("blob", d.Blob)
	}
	t.row("size", bytesText(d.Bytes)+", "+bytesText(d.EncodedBytes)+" in the network")
	t.row("price", fmt.Sprintf("%s for %d epochs", d.Price, d.Epochs))
	if d.Write > 0 {
		t.row("writing", d.Write)
	}
	t.row("fee", fmt.Sprintf("at most %s", d.MostFee))
	if d.Allowance > 0 {
		t.row("allowance", fmt.Sprintf("%s; it %s", d.Allowance, renewalText(report.Renewal{Left: d.Allowance, Highest: d.Highest, Until: d.RenewsUntil}, s.Head.Epoch.Plus(d.Epochs), s.Params.Registry.Price)))
	}
	if d.Already {
		t.row("", "the network keeps it already: nothing would be sent")
	}
	return t.flush()
}
