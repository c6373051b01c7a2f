package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/store"
)

const (
	// restBetween is the least time between two looks at what is missing; a new block
	// brings the next look forward to it.
	restBetween = time.Second
	// lookAgain is when the loop looks even if nothing has changed.
	lookAgain = 15 * time.Second
	// lookWhileBusy is how long repairs go on without a look at the ledger.
	lookWhileBusy = 5 * time.Second
	// accuseLimit is how long the report of a bad encoding waits for a block.
	accuseLimit = 30 * time.Second
	// patientTries is how often a row waits for k2 columns to be reachable before it is
	// rebuilt from whole rows, which moves several times more: nodes that restart
	// together are back in a moment.
	patientTries = 4
	// repairBlobs bounds the blobs that are repaired at the same time: with two round
	// trips of 150 ms a blob, 64 at once are 200 small blobs a second.
	repairBlobs = 64
	// repairBytes bounds the fragment bytes, of all blobs, that are being rebuilt. Memory
	// is at most twice that: the answers, and the fragments that come of them.
	repairBytes = 32 << 20
	// repairRun is the fragment bytes, of one blob, that are asked for with one set of
	// questions: eight runs fill a line of 1 Gbit/s at 150 ms.
	repairRun = 4 << 20
)

// recoverAlways is the loop: duty minus possession is work.
func (n *Node) recoverAlways(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := n.ledger.Changed()
		looked := time.Now()
		clean, err := n.recoverOnce(ctx, looked)
		if err != nil && ctx.Err() == nil {
			n.log.Warn("look for what is missing", "err", err)
		}
		if errors.Is(err, store.ErrFull) {
			wait(ctx, lookAgain, nil) // what other nodes send now would be thrown away
			continue
		}
		if !wait(ctx, restBetween-time.Since(looked), nil) {
			break
		}
		if clean {
			wait(ctx, lookAgain, changed)
		}
	}
	return nil
}

// wait returns after d, or earlier when something changed; false when ctx ended.
func wait(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-changed:
	}
	return true
}

// outcome is a blob with the result of its repair.
type outcome struct {
	*work
	err error
}

// recoverOnce repairs what it can, in the order of pending.due, repairBlobs at a time.
// clean is true when nothing is missing. It returns when all its goroutines have ended.
// Errors: store.ErrFull, after which nothing more is begun; those of the ledger.
func (n *Node) recoverOnce(ctx context.Context, looked time.Time) (clean bool, err error) {
	d, directory, err := n.look(ctx, looked)
	if err != nil {
		return false, err
	}
	queue := n.pending.due(looked)
	outcomes := make(chan outcome)
	for running := 0; ; running-- {
		// Later the holders may have changed: what is under way ends, and the ledger is looked at.
		for err == nil && running < repairBlobs && len(queue) > 0 && ctx.Err() == nil && time.Since(looked) <= lookWhileBusy {
			w := queue[0]
			queue = queue[1:]
			if n.incoming.underWay(w.c.ID) {
				continue
			}
			running++
			go func() { outcomes <- outcome{w, n.repair(ctx, d, directory, w)} }()
		}
		if running == 0 {
			break
		}
		o := <-outcomes
		if n.conclude(ctx, o); errors.Is(o.err, store.ErrFull) {
			err = o.err
		}
	}
	if ctx.Err() != nil {
		return false, nil
	}
	n.progress.backlog(d.height, n.pending)
	if clean = len(n.pending.blobs) == 0; clean {
		n.reportReady(ctx, d)
	}
	return clean, err
}

// conclude takes note of the end of a repair.
func (n *Node) conclude(ctx context.Context, o outcome) {
	switch bad := (*fetch.BadEncodingError)(nil); {
	case o.err == nil:
		delete(n.pending.blobs, o.c.ID)
		return
	case ctx.Err() != nil:
		return
	case errors.As(o.err, &bad):
		n.accuse(ctx, o.c.ID, bad.Proof)
	default:
		n.log.Info("cannot repair yet", "blob", o.c.ID, "missing", o.missing, "err", o.err)
	}
	o.failed(time.Now())
	o.checked = false // some of it may be here now
}

// look compares duty and possession as of the newest block.
func (n *Node) look(ctx context.Context, now time.Time) (d duty, directory *fetch.Directory, err error) {
	v, release, err := n.ledger.Hold(ctx)
	if err != nil {
		return d, nil, err
	}
	defer release()
	if d, err = dutyOf(v, n.id); err != nil {
		return d, nil, err
	}
	changed, known := n.ledger.BlobsSince(n.pending.looked)
	if err := n.pending.gather(v, d, changed, known, n.store.Counts().Rotten, now); err != nil {
		return d, nil, err
	}
	if err := n.check(ctx, v, d); err != nil {
		return d, nil, err
	}
	n.progress.backlog(d.height, n.pending)
	if len(n.pending.blobs) > 0 {
		directory, err = client.DirectoryOf(v)
	}
	return d, directory, err
}

// accuse shows the ledger that a blob is badly encoded: it then ends for good, and no
// node tries to repair it any more.
func (n *Node) accuse(ctx context.Context, id blob.ID, proof redstuff.BadEncoding) {
	ctx, cancel := context.WithTimeout(ctx, accuseLimit)
	defer cancel()
	receipt, err := n.submitProof(ctx, id, proof)
	switch {
	case err == nil:
		n.log.Warn("proved that a blob is badly encoded", "blob", id, "height", receipt.Height)
	case !errors.Is(err, ledger.ErrInvalidBlob): // else another was quicker
		n.log.Warn("report a badly encoded blob", "blob", id, "err", err)
	}
}

// submitProof sends a proof of bad encoding. The finder's fee is for whom the node's
// earnings are for.
func (n *Node) submitProof(ctx context.Context, id blob.ID, proof redstuff.BadEncoding) (ledger.TxReceipt, error) {
	v, err := n.ledger.View(ctx)
	if err != nil {
		return ledger.TxReceipt{}, err
	}
	record, _, err := v.Node(n.id)
	if err != nil {
		return ledger.TxReceipt{}, err
	}
	receipt, err := n.ledger.Submit(ctx, ledger.Unsigned(ledger.Invalidate{Blob: id, Proof: proof.Encode(), Finder: record.Payout}))
	if err == nil {
		err = receipt.Err()
	}
	return receipt, err
}

// repair rebuilds all that is missing of a blob, in runs of stripes: while one is
// rebuilt the next are on their way.
func (n *Node) repair(ctx context.Context, of duty, d *fetch.Directory, w *work) error {
	kept, _ := n.conduct.keeps(w.c.ID, of.places(w.c.ID, of.shards))
	missing, err := n.store.Missing(w.c, kept)
	if err != nil || len(missing) == 0 {
		return err
	}
	manifest := w.c.Manifest()
	if err := n.store.Keep(ctx, manifest); err != nil {
		return err
	}
	group, working := errgroup.WithContext(ctx)
	for _, run := range runsOf(w.c.Layout, missing) {
		// What is larger than all that may be rebuilt at once is rebuilt alone.
		weight := min(run.bytes, repairBytes)
		if n.repairs.Acquire(working, weight) != nil {
			break
		}
		group.Go(func() error {
			defer n.repairs.Release(weight)
			return n.repairRun(working, d, w, run)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// run is what is missing of some stripes, one after the other, of a blob.
type run struct {
	fetch.Loss
	bytes int64 // of the fragments
}

// runsOf splits what is missing of a blob into runs of about repairRun bytes. All
// stripes of a run lack the same places.
func runsOf(l blob.Layout, missing []blob.Position) (out []run) {
	slices.SortFunc(missing, func(a, b blob.Position) int {
		return cmp.Or(cmp.Compare(a.Stripe, b.Stripe), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Axis, b.Axis))
	})
	for len(missing) > 0 {
		at := missing[0].Stripe
		next := run{Loss: fetch.Loss{From: at, To: at + 1}}
		for len(missing) > 0 && missing[0].Stripe == at {
			x := missing[0]
			missing = missing[1:]
			next.bytes += int64(l.FragmentBytes(int(at), x.Axis))
			if x.Axis == blob.Row {
				next.Rows = append(next.Rows, x.Place)
			} else {
				next.Columns = append(next.Columns, x.Place)
			}
		}
		if i := len(out) - 1; i >= 0 && out[i].To == at && out[i].bytes+next.bytes <= repairRun &&
			slices.Equal(out[i].Rows, next.Rows) && slices.Equal(out[i].Columns, next.Columns) {
			out[i].To, out[i].bytes = at+1, out[i].bytes+next.bytes
			continue
		}
		out = append(out, next)
	}
	return out
}

// repairRun rebuilds a run. The bytes that it will move at least are paid for before
// they are asked for, and the others when they have come.
func (n *Node) repairRun(ctx context.Context, d *fetch.Directory, w *work, r run) error {
	if err := n.pace.spend(ctx, r.bytes); err != nil {
		return err
	}
	err := n.fetcher.Repair(ctx, d, w.c, r.Loss, w.tries >= patientTries, func(list fetch.StripeList, fragments []blob.FullFragment) error {
		return n.keepRebuilt(ctx, list, fragments)
	})
	n.progress.moved(n.fetcher.Received())
	return errors.Join(err, n.pace.settle(ctx, n.fetcher.Received()))
}

// pace keeps what repair receives below a rate.
type pace struct {
	rate *rate.Limiter

	mu   sync.Mutex // guards paid
	paid int64      // bytes
}

// spend waits until so many bytes may be received.
func (p *pace) spend(ctx context.Context, bytes int64) error {
	p.mu.Lock()
	p.paid += bytes
	p.mu.Unlock()
	return p.await(ctx, bytes)
}

// settle waits for the bytes, of all that were received, that are not paid for.
func (p *pace) settle(ctx context.Context, received int64) error {
	p.mu.Lock()
	due := max(0, received-p.paid)
	p.paid += due
	p.mu.Unlock()
	return p.await(ctx, due)
}

func (p *pace) await(ctx context.Context, bytes int64) error {
	for bytes > 0 {
		part := min(bytes, int64(p.rate.Burst()))
		if err := p.rate.WaitN(ctx, int(part)); err != nil {
			return err
		}
		bytes -= part
	}
	return nil
}

func newRate(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 1<<30)
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(max(bytesPerSecond, 1<<20)))
}

// keepRebuilt writes rebuilt fragments with their witnesses.
func (n *Node) keepRebuilt(ctx context.Context, list fetch.StripeList, fragments []blob.FullFragment) error {
	pieces := make([]store.Piece, len(fragments))
	for i, f := range fragments {
		at := f.Position()
		pieces[i] = store.Piece{Fragment: f, Witness: list.Tree.Witness(at.Place, blob.Roots{}, list.Path)}
	}
	if err := n.store.Put(ctx, list.Commitment().ID, pieces...); err != nil {
		return err
	}
	var size int64
	for _, f := range fragments {
		size += int64(len(f.Bytes()))
	}
	n.progress.healed(size)
	return nil
}

// reportReady tells the ledger of shards that are complete, so that their old
// holders may let go.
func (n *Node) reportReady(ctx context.Context, d duty) {
	for _, s := range d.moving {
		tx := ledger.Unsigned(ledger.NewShardReady(n.chain, n.key, d.epoch, s))
		receipt, err := n.ledger.Submit(ctx, tx)
		if err == nil {
			err = receipt.Err()
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, ledger.ErrNotMoving) {
			n.log.Warn("report a shard ready", "shard", s, "epoch", d.epoch, "err", err)
		} else if err == nil {
			n.log.Info("shard is complete and ours", "shard", s, "epoch", d.epoch)
		}
	}
}
