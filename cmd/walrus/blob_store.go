package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// storeCommand is `walrus store` with its flags and results.
type storeCommand struct {
	a       *app
	s       *session
	dry     bool
	empty   bool // standard input may be
	quilt   bool // the files become one blob
	several bool // files, each a blob
	opts    client.StoreOptions
	encrypt encryptFlags
	renew   renewalFlags
	begun   *begunItem // nil: none has begun before the ledger was looked at
	seen    balanceSeen
	result  storeResult
}

type storeResult struct {
	Blobs []storedFile `json:"blobs"`
	Error string       `json:"error,omitempty"`
}

// storedFile is the result for one file.
type storedFile struct {
	File string `json:"file"`
	*client.StoreResult
	Files  []quiltFile `json:"files,omitempty"` // of the quilt that was stored
	DryRun *dryRun     `json:"dry_run,omitempty"`
	Error  string      `json:"error,omitempty"`
}

func (a *app) storeCommand() *cobra.Command {
	w := &storeCommand{a: a}
	c := &cobra.Command{
		Use:   "store FILE... | - | --quilt DIR|FILE...",
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
command's failure.

--quilt makes one blob of all files that are named and all that lie under a DIR,
with an index: many small files then cost little more than one blob of their size.
The lines after the first are the files as walrus read takes them, ID/FILE. A file
under a DIR is named by its path in it, after the DIR's own name where more than
one argument is given. Symbolic links are followed.

Blobs are public. --encrypt stores an age file of each FILE, or of the quilt: to
keys that age-keygen makes (-r, --recipients-file), or with a passphrase. Its size
is padded by at most 12 %. An encrypted store that is interrupted begins anew, as
another blob.`,
		Example: "  walrus store photo.jpg --epochs 26\n  walrus store --quilt website\n  walrus store --encrypt -r age1… diary.txt\n  tar c notes | walrus store -\n  walrus store --dry-run disk.img\n  walrus store album.tar --renew 5WAL",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, files []string) error { return w.run(c.Context(), files) },
	}
	c.Flags().Uint64Var(&w.opts.Epochs, "epochs", 0, "how many epochs to pay for, the present one included (default: the network's)")
	c.Flags().BoolVar(&w.opts.Permanent, "permanent", false, "cannot be deleted or refunded")
	w.encrypt.add(c)
	w.renew.add(c, "renew", "renew-price", "leave this with the lease, like 5WAL, to renew it when it would end")
	c.Flags().BoolVar(&w.empty, "allow-empty", false, "store standard input even if nothing comes from it")
	c.Flags().BoolVar(&w.quilt, "quilt", false, "store all files, and those under directories, as one blob")
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
	w.a.needsNodes = !w.dry
	if w.dry {
		open = w.a.openWithout
	}
	var items []storeItem
	if w.quilt { // before anything is asked or paid
		q, err := newQuilt(files)
		if err != nil {
			return err
		}
		items = []storeItem{quiltItem(files, q)}
	} else {
		for _, file := range files {
			if isStdin(file) {
				if err := w.a.useStdin("what is stored"); err != nil {
					return err
				}
			}
			items = append(items, w.fileItem(file))
		}
	}
	to, err := w.encrypt.parse(ctx, w.a)
	if err != nil {
		return err
	}
	for i := range items {
		if len(to) > 0 {
			items[i] = sealedItem(items[i], to)
		}
	}
	if one := items[0]; len(items) == 1 && !w.dry && one.size >= 0 {
		w.a.connected = func(ctx context.Context, c *client.Connection) [][]byte { return w.begin(ctx, c, one) }
		defer func() { w.begun.drop() }()
	}
	return within(ctx, open, func(s *session) error {
		w.s = s
		return w.store(ctx, items)
	})
}

// begunItem is an item whose store has begun before the ledger was looked at.
type begunItem struct {
	src    client.Source
	remove func() error
	ahead  *client.StoreAhead
}

// begin begins to store a small item, and returns what is to be read of the ledger for it.
func (w *storeCommand) begin(ctx context.Context, c *client.Connection, item storeItem) [][]byte {
	src, remove, err := item.open(ctx)
	if err != nil {
		return nil // the store will say so
	}
	w.begun = &begunItem{src, remove, c.BeginStore(ctx, src)}
	if w.begun.ahead == nil {
		return nil
	}
	return [][]byte{ledger.KeyBlob(w.begun.ahead.ID())}
}

func (b *begunItem) drop() {
	if b != nil {
		b.ahead.Drop()
		b.remove()
	}
}

// source is an item's bytes, what removes a copy of them, and its store if that has begun.
func (w *storeCommand) source(ctx context.Context, item storeItem) (client.Source, func() error, *client.StoreAhead, error) {
	if b := w.begun; b != nil {
		w.begun = nil
		return b.src, func() error { b.ahead.Drop(); return b.remove() }, b.ahead, nil
	}
	src, remove, err := item.open(ctx)
	return src, remove, nil, err
}

// store stores the files, and prints their results.
func (w *storeCommand) store(ctx context.Context, items []storeItem) (err error) {
	signal.Ignore(syscall.SIGPIPE) // the IDs of what is paid for are told elsewhere then
	w.several = len(items) > 1
	errs := w.all(ctx, items)
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
	storesAtOnce = 256 // files, and fewer of those that are longer than storedStep
	storedStep   = 64 << 20 / storesAtOnce
	storedAlone  = 64 << 20 // bytes of a file that is not stored with others at once: it fills the line by itself
)

// all stores the files, some at once, and prints their results in the order of the command
// line. An error of one file does not stop the others.
func (w *storeCommand) all(ctx context.Context, items []storeItem) (errs []error) {
	type outcome struct {
		one storedFile
		err error
	}
	outcomes := make([]chan outcome, len(items))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	places := make(chan struct{}, storesAtOnce)
	var running sync.WaitGroup
	defer running.Wait()
	go func() {
		for i, item := range items {
			weight := w.weight(item)
			for range weight {
				places <- struct{}{}
			}
			running.Go(func() {
				var o outcome
				if o.err = context.Cause(ctx); ctx.Err() == nil {
					o.one, o.err = w.item(ctx, item)
				}
				for range weight {
					<-places
				}
				outcomes[i] <- o
			})
		}
	}()
	var told error // why standard output takes nothing more
	for i, item := range items {
		o := <-outcomes[i]
		if o.err != nil {
			if w.several {
				o.err = fmt.Errorf("%s: %w", nameText(item.name), o.err)
			}
			o.one.Error = o.err.Error()
			errs = append(errs, o.err)
		}
		o.one.File = item.name
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

// weight is how many places an item takes. All dry runs share one view of the ledger.
func (w *storeCommand) weight(item storeItem) int {
	if w.dry || item.size < 0 || item.size > storedAlone {
		return storesAtOnce
	}
	return 1 + int(item.size/storedStep)*(storesAtOnce-1)/storesAtOnce
}

// tellPaid prints the ID of a blob that is paid for on standard error, when standard output
// did not take it.
func (w *storeCommand) tellPaid(one storedFile) {
	if one.StoreResult != nil {
		fmt.Fprintf(w.a.err, "%s  %s\n", one.ID, nameText(one.File))
	}
}

func (w *storeCommand) item(ctx context.Context, item storeItem) (storedFile, error) {
	file := item.name
	src, remove, ahead, err := w.source(ctx, item)
	if err != nil {
		return storedFile{}, err
	}
	defer remove()
	if w.dry {
		d, err := w.price(ctx, file, src)
		if d != nil {
			d.Encrypted = w.encrypt.on
		}
		return storedFile{DryRun: d}, err
	}
	if err := w.affords(ctx, src.Size()); err != nil {
		return storedFile{}, fmt.Errorf("%s: %w", bytesText(src.Size()), err)
	}
	opts := w.opts
	opts.Ahead = ahead
	encode, send := w.a.newBar("encode "+nameText(file), src.Size()), w.a.newBar("send   "+nameText(file), src.Size())
	if w.several && w.weight(item) < storesAtOnce { // many lines at once would overwrite each other
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
	if !w.several && time.Since(w.s.At) < viewFor {
		opts.View = &w.s.View
	}
	out, err := w.s.Store(ctx, w.s.key, src, opts)
	encode.end()
	send.end()
	if err != nil {
		return storedFile{}, w.explain(err)
	}
	one := storedFile{StoreResult: &out}
	if item.quilt != nil {
		one.Files = quiltFiles(out.ID, item.quilt.Index())
	}
	return one, nil
}

// print prints the result for one file as soon as it is known: other files may take long.
func (w *storeCommand) print(out io.Writer, one storedFile) error {
	if one.StoreResult != nil {
		_, err := fmt.Fprintf(out, "%s  %s\n", one.ID, nameText(one.File))
		for _, f := range one.Files {
			if err == nil {
				_, err = fmt.Fprintf(out, "%s/%s\n", one.ID, nameText(f.Identifier))
			}
		}
		w.tell(*one.StoreResult)
		return err
	}
	if one.DryRun != nil {
		return one.DryRun.print(out, one.File, w.s)
	}
	return nil
}

// tell prints details for a person at a terminal; a script reads the line with the ID.
func (w *storeCommand) tell(s client.StoreResult) {
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
