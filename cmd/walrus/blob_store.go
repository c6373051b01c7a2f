package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// storeCommand is `walrus store` with its flags and results.
type storeCommand struct {
	a       *app
	s       *session
	dry     bool
	empty   bool // standard input may be
	several bool // files
	opts    client.StoreOptions
	renew   renewalFlags
	result  storeResult
}

type storeResult struct {
	Blobs []storedFile `json:"blobs"`
	Error string       `json:"error,omitempty"`
}

// storedFile is the result for one file.
type storedFile struct {
	File string `json:"file"`
	*client.Stored
	DryRun *dryRun `json:"dry_run,omitempty"`
	Error  string  `json:"error,omitempty"`
}

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
	Already      bool         `json:"already"` // the network keeps it already: nothing would be sent
}

func (a *app) storeCommand() *cobra.Command {
	w := &storeCommand{a: a}
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

Several files are stored at once; the lines come in the order of the FILEs. A file
that fails does not stop the others: the exit code says that one did. If standard
output takes no more, the IDs of what is paid for go to standard error.

- stores standard input; it is kept in a temporary file without a name meanwhile (in
TMPDIR), because a blob is read twice. An empty one is refused: it is mostly another
command's failure.`,
		Example: "  walrus store photo.jpg --epochs 26\n  tar c notes | walrus store -\n  walrus store --dry-run disk.img\n  walrus store album.tar --renew 5WAL",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, files []string) error { return w.run(c.Context(), files) },
	}
	c.Flags().Uint64Var(&w.opts.Epochs, "epochs", 0, "how many epochs to pay for, the present one included (default: the network's)")
	c.Flags().BoolVar(&w.opts.Permanent, "permanent", false, "cannot be deleted or refunded")
	w.renew.add(c, "renew", "renew-price", "leave this with the lease, like 5WAL, to renew it when it would end")
	c.Flags().BoolVar(&w.empty, "allow-empty", false, "store standard input even if nothing comes from it")
	c.Flags().BoolVar(&w.dry, "dry-run", false, "show ID, size and price; pay and send nothing")
	return c
}

func (w *storeCommand) run(ctx context.Context, files []string) (err error) {
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
	for _, file := range files { // before anything is read
		if isStdin(file) {
			if err := w.a.useStdin("what is stored"); err != nil {
				return err
			}
		}
	}
	return within(ctx, open, func(s *session) error {
		w.s = s
		return w.store(ctx, files)
	})
}

// store stores the files, and prints their results.
func (w *storeCommand) store(ctx context.Context, files []string) (err error) {
	signal.Ignore(syscall.SIGPIPE) // the IDs of what is paid for are told elsewhere then
	w.several = len(files) > 1
	errs := w.all(ctx, files)
	err = errors.Join(errs...)
	if err != nil {
		w.result.Error = err.Error()
	}
	if !w.a.json {
		return err
	}
	told := w.a.print(w.result, func(io.Writer) error { return nil })
	if told != nil {
		for _, one := range w.result.Blobs {
			w.tellPaid(one)
		}
	}
	return errors.Join(err, told)
}

// Limits for several files.
const (
	storesAtOnce = 4        // files
	storedAlone  = 64 << 20 // bytes of a file that is not stored with others at once: it fills the line by itself
)

// all stores the files, some at once, and prints their results in the order of the command
// line. An error of one file does not stop the others.
func (w *storeCommand) all(ctx context.Context, files []string) (errs []error) {
	type outcome struct {
		one storedFile
		err error
	}
	outcomes := make([]chan outcome, len(files))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	places := make(chan struct{}, storesAtOnce)
	var running sync.WaitGroup
	defer running.Wait()
	go func() {
		for i, file := range files {
			weight := w.weight(file)
			for range weight {
				places <- struct{}{}
			}
			running.Go(func() {
				var o outcome
				if o.err = context.Cause(ctx); ctx.Err() == nil {
					o.one, o.err = w.file(ctx, file)
				}
				for range weight {
					<-places
				}
				outcomes[i] <- o
			})
		}
	}()
	var told error // why standard output takes nothing more
	for i, file := range files {
		o := <-outcomes[i]
		if o.err != nil {
			if w.several {
				o.err = fmt.Errorf("%s: %w", nameText(file), o.err)
			}
			o.one.Error = o.err.Error()
			errs = append(errs, o.err)
		}
		o.one.File = file
		w.result.Blobs = append(w.result.Blobs, o.one)
		if w.a.json {
			continue
		}
		if told == nil {
			if told = w.print(w.a.out, o.one); told != nil {
				errs = append(errs, fmt.Errorf("standard output: %w", told))
			}
		}
		if told != nil {
			w.tellPaid(o.one)
		}
	}
	return errs
}

// weight is how many places a file takes. All dry runs share one view of the ledger.
func (w *storeCommand) weight(file string) int {
	info, err := os.Stat(file)
	if w.dry || isStdin(file) || err == nil && info.Size() > storedAlone {
		return storesAtOnce
	}
	return 1
}

// tellPaid prints the ID of a blob that is paid for on standard error, when standard output
// did not take it.
func (w *storeCommand) tellPaid(one storedFile) {
	if one.Stored != nil {
		fmt.Fprintf(w.a.err, "%s  %s\n", one.ID, nameText(one.File))
	}
}

func (w *storeCommand) file(ctx context.Context, file string) (storedFile, error) {
	src, remove, err := w.source(ctx, file)
	if err != nil {
		return storedFile{}, err
	}
	defer remove()
	if w.dry {
		d, err := w.price(ctx, file, src)
		return storedFile{DryRun: d}, err
	}
	if err := w.affords(ctx, src.Size()); err != nil {
		return storedFile{}, fmt.Errorf("%s: %w", bytesText(src.Size()), err)
	}
	opts := w.opts
	encode, send := w.a.newBar("encode "+nameText(file), src.Size()), w.a.newBar("send   "+nameText(file), src.Size())
	if w.several && w.weight(file) == 1 { // many lines at once would overwrite each other
		encode, send = &bar{}, &bar{}
	}
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
		if err := w.covers(ctx, c, c); err != nil {
			return err
		}
		w.a.say("%s (%s) costs %s", nameText(file), bytesText(src.Size()), c)
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

// covers says whether the wallet can pay least; the message names cost.
func (w *storeCommand) covers(ctx context.Context, cost, least client.Cost) error {
	v, err := w.s.Remote.View(ctx)
	if err != nil {
		return err
	}
	account, err := v.Account(w.s.key.Address())
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
	if needed, err := sum(least); err != nil || account.Balance >= needed {
		return err
	}
	return fmt.Errorf("it costs %s; %s has %s, and %s is missing: %w; nothing was paid; walrus wallet show tells what it has, --dry-run what it takes", cost, w.s.key.Address(), account.Balance, all-account.Balance, ledger.ErrFunds)
}

// paidBefore says whether the wallet has a lease on a blob of that size, so that the
// same store may have been interrupted. Where it cannot be known it says so too.
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

func (w *storeCommand) source(ctx context.Context, file string) (client.FileSource, func() error, error) {
	if !isStdin(file) {
		src, err := client.NewFileSource(file)
		return src, func() error { return nil }, err
	}
	if _, ok := terminal(w.a.in); ok {
		w.a.say("type what is to be stored, and ^D at its end")
	}
	src, remove, err := client.Spool(&patientReader{ctx: ctx, r: w.a.in}, os.TempDir())
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: standard input is kept in a file meanwhile; name a directory with room for it with TMPDIR", err)
	}
	if err == nil && src.Size() == 0 && !w.empty {
		remove()
		err = errors.New("standard input is empty: nothing was stored; say --allow-empty if the empty blob is meant")
	}
	return src, remove, err
}

// explain adds advice to a refusal of the ledger.
func (w *storeCommand) explain(err error) error {
	if errors.Is(err, ledger.ErrFunds) && !strings.Contains(err.Error(), "is missing") {
		return fmt.Errorf("%w: %s pays; walrus wallet show tells what it has, --dry-run what it takes", err, w.s.key.Address())
	}
	return err
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

// print prints the result for one file as soon as it is known: other files may take long.
func (w *storeCommand) print(out io.Writer, one storedFile) error {
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
		t.row("allowance", fmt.Sprintf("%s; it %s", d.Allowance, renewalText(report.Renewal{Left: d.Allowance, Highest: d.Highest, Until: d.RenewsUntil}, w.s.Head.Epoch.Plus(d.Epochs), w.s.Params.Registry.Price)))
	}
	if d.Already {
		t.row("", "the network keeps it already: nothing would be sent")
	}
	return t.flush()
}

// tell prints details for a person at a terminal; a script reads the line with the ID.
func (w *storeCommand) tell(s client.Stored) {
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
	w.a.say("  %s; paid %s; kept until epoch %d begins (about %s)", how, paid, s.EndEpoch, timeText(w.s.Begins(s.EndEpoch)))
}
