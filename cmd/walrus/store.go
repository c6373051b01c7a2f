package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// storing is one `walrus store`.
type storing struct {
	a      *app
	s      *session
	dry    bool
	opts   client.StoreOptions
	renew  renewalFlags
	result storeResult
}

type storeResult struct {
	Blobs []storedFile `json:"blobs"`
	Error string       `json:"error,omitempty"`
}

// storedFile is what became of one file.
type storedFile struct {
	File string `json:"file"`
	*client.Stored
	DryRun *dryRun `json:"dry_run,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// dryRun is what a store would do.
type dryRun struct {
	Blob         blob.ID      `json:"blob"`
	Bytes        int64        `json:"bytes"`
	EncodedBytes int64        `json:"encoded_bytes"`
	StoredKiB    uint64       `json:"stored_kib"` // what is paid for
	Epochs       uint64       `json:"epochs"`
	Price        token.Amount `json:"price"` // for the epochs
	Write        token.Amount `json:"write_price"`
	Allowance    token.Amount `json:"allowance"`
	Highest      token.Amount `json:"highest_price,omitempty"`
	RenewsUntil  uint64       `json:"renews_until_epoch,omitempty"` // about, at today's price
	MostFee      token.Amount `json:"most_fee"`
	Already      bool         `json:"already"` // the network keeps it for somebody: nothing would be sent
}

func (a *app) storeCommand() *cobra.Command {
	w := &storing{a: a}
	c := &cobra.Command{
		Use:   "store FILE... | -",
		Short: "Store files, or standard input, as blobs",
		Long: `Stores each FILE as a blob and pays for it from the wallet. When a line with the
blob's ID appears, the network has promised to keep it: more than two thirds of
the shards hold it, and the ledger says so. An interrupted store is taken up by
running it again: only what is missing is sent, and nothing is paid twice. What it
costs is said on standard error before it is paid.

With --renew an allowance is left with each FILE's lease: when its last epoch is
half over, the network takes the price of one more from it, until the price is too
high (--renew-price) or too little is left. What is left then comes back.

- stores standard input; it is kept in a temporary file meanwhile (in TMPDIR),
because a blob is read twice.`,
		Example: "  walrus store photo.jpg --epochs 26\n  tar c notes | walrus store -\n  walrus store --dry-run disk.img\n  walrus store album.tar --renew 5WAL",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, files []string) error { return w.run(c.Context(), files) },
	}
	c.Flags().Uint64Var(&w.opts.Epochs, "epochs", 0, "how many epochs to pay for, the present one included (default: the network's)")
	c.Flags().BoolVar(&w.opts.Permanent, "permanent", false, "cannot be deleted by anybody, nor refunded")
	w.renew.add(c, "renew", "renew-price", "leave this with the lease, like 5WAL, to renew it when it would end")
	c.Flags().BoolVar(&w.dry, "dry-run", false, "show ID, size and price; pay and send nothing")
	return c
}

func (w *storing) run(ctx context.Context, files []string) (err error) {
	if w.a.flags.Changed("epochs") && w.opts.Epochs == 0 {
		return errUsage{errors.New("--epochs 0: at least the present epoch must be paid for")}
	}
	if w.opts.Allowance, w.opts.HighestPrice, err = w.renew.parse(w.a); err != nil {
		return err
	}
	open := w.a.open
	if w.dry {
		open = w.a.openWithout
	}
	if w.s, err = open(ctx); err != nil {
		return err
	}
	defer w.s.Close()
	var errs []error
	for _, file := range files {
		one, err := w.file(ctx, file)
		if err != nil {
			if len(files) > 1 {
				err = fmt.Errorf("%s: %w", nameText(file), err)
			}
			one.Error = err.Error()
			errs = append(errs, err)
		}
		one.File = file
		w.result.Blobs = append(w.result.Blobs, one)
		if !w.a.json {
			if err := w.print(w.a.out, one); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	err = errors.Join(errs...)
	if err != nil {
		w.result.Error = err.Error()
	}
	return errors.Join(err, w.a.print(w.result, func(io.Writer) error { return nil }))
}

func (w *storing) file(ctx context.Context, file string) (storedFile, error) {
	src, remove, err := w.source(file)
	if err != nil {
		return storedFile{}, err
	}
	defer remove()
	if w.dry {
		d, err := w.price(ctx, file, src)
		return storedFile{DryRun: d}, err
	}
	opts := w.opts
	encode, send := w.a.newBar("encode "+nameText(file), src.Size()), w.a.newBar("send   "+nameText(file), src.Size())
	opts.Progress = func(encoded, handed int64) {
		if handed == 0 {
			encode.set(encoded)
			return
		}
		encode.end()
		send.set(handed)
	}
	opts.Paying = func(c client.Cost) error {
		encode.end()
		if c.Epochs > 0 && c.Allowance > 0 && uint64(c.Allowance) < uint64(c.Lease)/c.Epochs {
			return fmt.Errorf("an allowance of %s does not pay for an epoch, which costs %s today: leave at least that with --renew; nothing was paid", c.Allowance, c.Lease/token.Amount(c.Epochs))
		}
		w.a.say("%s costs %s", nameText(file), c)
		return nil
	}
	out, err := w.s.Store(ctx, w.s.key, src, opts)
	encode.end()
	send.end()
	if err != nil {
		return storedFile{}, w.explain(err)
	}
	return storedFile{Stored: &out}, nil
}

func (w *storing) source(file string) (client.FileSource, func() error, error) {
	if file != "-" {
		src, err := client.NewFileSource(file)
		return src, func() error { return nil }, err
	}
	if _, ok := terminal(w.a.in); ok {
		w.a.say("type what is to be stored, and ^D at its end")
	}
	src, remove, err := client.Spool(w.a.in, os.TempDir())
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: standard input is kept in a file meanwhile; name a directory with room for it with TMPDIR", err)
	}
	return src, remove, err
}

// explain adds what to do where the ledger only says no.
func (w *storing) explain(err error) error {
	if errors.Is(err, ledger.ErrFunds) {
		return fmt.Errorf("%w: %s pays; walrus wallet show tells what it has, --dry-run what it takes", err, w.s.key.Address())
	}
	return err
}

// price works out what a store would do.
func (w *storing) price(ctx context.Context, file string, src client.Source) (*dryRun, error) {
	shape, err := w.s.params.Shape()
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
		d.Epochs = w.s.params.Registry.DefaultEpochs
	}
	e, known, err := w.s.view.Blob(c.ID)
	if err != nil {
		return nil, err
	}
	d.Already = known && e.Certified() && e.Live(w.s.head.Epoch)
	return &d, d.price(w.s, blob.NewManifest(c.Layout, c.Root), w.opts)
}

// price fills in what it costs.
func (d *dryRun) price(s *session, m blob.Manifest, o client.StoreOptions) error {
	highest, err := client.HighestOr(s.params, o.HighestPrice)
	if err != nil {
		return err
	}
	cost, err := client.CostOf(s.params, d.StoredKiB, d.Epochs, d.Already, o.Allowance, highest)
	if err != nil {
		return err
	}
	d.Price, d.Write = cost.Lease, cost.Write
	if o.Allowance > 0 {
		renewal := registry.Lease{End: s.head.Epoch + d.Epochs, Renewal: registry.Renewal{Left: o.Allowance, Highest: highest}}
		d.Highest, d.RenewsUntil = highest, renewal.End+renewal.RenewableEpochs(s.params.Registry, d.StoredKiB)
	}
	body := ledger.RegisterBlob{Manifest: m, Epochs: d.Epochs, Permanent: o.Permanent, Allowance: o.Allowance, HighestPrice: highest}
	d.MostFee = client.MostFee(s.Network.Genesis.ChainID(), s.params.Fees, body)
	return nil
}

// print writes what became of one file, as soon as that is known: others may take long.
func (w *storing) print(out io.Writer, one storedFile) error {
	if one.Stored != nil {
		_, err := fmt.Fprintf(out, "%s  %s\n", one.ID, nameText(one.File))
		w.tell(*one.Stored)
		return err
	}
	d := one.DryRun
	if d == nil {
		return nil
	}
	t := newTable(out)
	t.row("file", nameText(one.File))
	t.row("blob", d.Blob)
	t.row("size", bytesText(d.Bytes)+", "+bytesText(d.EncodedBytes)+" in the network")
	t.row("price", fmt.Sprintf("%s for %d epochs", d.Price, d.Epochs))
	if d.Write > 0 {
		t.row("writing", d.Write)
	}
	t.row("fee", fmt.Sprintf("at most %s", d.MostFee))
	if d.Allowance > 0 {
		t.row("allowance", fmt.Sprintf("%s; it %s", d.Allowance, (&renewal{Left: d.Allowance, Highest: d.Highest, Until: d.RenewsUntil}).text(w.s.head.Epoch+d.Epochs, w.s.params.Registry.Price)))
	}
	if d.Already {
		t.row("", "the network keeps it already: nothing would be sent")
	}
	return t.flush()
}

// tell is for the person at a terminal; a script takes the line with the ID.
func (w *storing) tell(s client.Stored) {
	if _, ok := terminal(w.a.err); !ok {
		return
	}
	how := fmt.Sprintf("%s became %s on the network in %s", bytesText(s.Size), bytesText(s.EncodedBytes), ageText(s.TotalTime))
	if s.Already {
		how = bytesText(s.Size) + ", which the network kept already"
	}
	paid := s.Price + s.Write // of a supply that holds both
	if s.Allowance > 0 {
		how += fmt.Sprintf("; left %s to renew it", s.Allowance)
	}
	w.a.say("  %s; paid %s; kept until epoch %d begins (about %s)", how, paid, s.EndEpoch, timeText(w.s.begins(s.EndEpoch)))
}
