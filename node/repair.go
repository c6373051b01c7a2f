package node

import (
	"context"
	"errors"
	"slices"
	"time"

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
	// repairBatch bounds the fragment bytes that are rebuilt at a time.
	repairBatch = 16 << 20
)

// recoverAlways is the loop: duty minus possession is work.
func (n *Node) recoverAlways(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := n.ledger.Changed()
		clean, err := n.recoverOnce(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Warn("look for what is missing", "err", err)
		}
		if !wait(ctx, restBetween, nil) {
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

// recoverOnce repairs what it can. clean is true when nothing is missing.
func (n *Node) recoverOnce(ctx context.Context) (clean bool, err error) {
	looked := time.Now()
	d, directory, err := n.look(ctx, looked)
	if err != nil {
		return false, err
	}
	for _, w := range n.pending.due(looked) {
		if ctx.Err() != nil || time.Since(looked) > lookWhileBusy {
			return false, nil // the holders may have changed
		}
		if n.incoming.underWay(w.c.ID) {
			continue
		}
		err := n.repair(ctx, d, directory, w)
		switch bad := (*fetch.BadEncodingError)(nil); {
		case err == nil:
			delete(n.pending.blobs, w.c.ID)
			continue
		case ctx.Err() != nil:
			return false, nil
		case errors.As(err, &bad):
			n.accuse(ctx, w.c.ID, bad.Proof)
		default:
			n.log.Info("cannot repair yet", "blob", w.c.ID, "missing", w.missing, "err", err)
		}
		w.failed(time.Now())
		w.checked = false // some of it may be here now
	}
	n.progress.backlog(d.height, n.pending)
	if clean = len(n.pending.blobs) == 0; clean {
		n.reportReady(ctx, d)
	}
	return clean, nil
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

// repair rebuilds all that is missing of a blob, some stripes at a time, columns
// before rows: a column needs the fewest others.
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
	stripes := map[uint32]bool{}
	for _, at := range missing {
		stripes[at.Stripe] = true
	}
	var order []uint32
	for s := range stripes {
		order = append(order, s)
	}
	slices.Sort(order)
	perStripe := len(missing) / len(order) * (w.c.Layout.K1 + w.c.Layout.K2) / 2 * w.c.Layout.Seg
	most := max(1, repairBatch/max(perStripe, 1))
	for len(order) > 0 {
		run := 1
		for run < len(order) && run < most && order[run] == order[0]+uint32(run) {
			run++
		}
		if err := n.repairRun(ctx, d, w, missing, order[0], order[0]+uint32(run)); err != nil {
			return err
		}
		order = order[run:]
	}
	return nil
}

// repairRun rebuilds what is missing of stripes [from, to).
func (n *Node) repairRun(ctx context.Context, d *fetch.Directory, w *work, missing []blob.Position, from, to uint32) error {
	before := n.fetcher.Received()
	defer func() { n.progress.moved(n.fetcher.Received() - before) }()
	lists, err := n.fetcher.Lists(ctx, d, w.c, from, to)
	if err != nil {
		return err
	}
	for _, axis := range []blob.Axis{blob.Column, blob.Row} {
		lost := lostPlaces(missing, axis, from, to)
		if len(lost) == 0 {
			continue
		}
		rebuilt, err := n.fetcher.Recover(ctx, d, lists, axis, lost, w.tries >= patientTries)
		if err != nil {
			return err
		}
		for i, fragments := range rebuilt {
			if err := n.keepRebuilt(ctx, lists[i], fragments); err != nil {
				return err
			}
		}
		if err := n.throttle(ctx, before); err != nil {
			return err
		}
	}
	return nil
}

// throttle keeps repair below its rate.
func (n *Node) throttle(ctx context.Context, before int64) error {
	moved := int(n.fetcher.Received() - before)
	for moved > 0 {
		part := min(moved, n.rate.Burst())
		if err := n.rate.WaitN(ctx, part); err != nil {
			return err
		}
		moved -= part
	}
	return nil
}

func newRate(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 1<<30)
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(max(bytesPerSecond, 1<<20)))
}

func lostPlaces(missing []blob.Position, axis blob.Axis, from, to uint32) []blob.Place {
	var out []blob.Place
	for _, at := range missing {
		if at.Axis == axis && at.Stripe >= from && at.Stripe < to && !slices.Contains(out, at.Place) {
			out = append(out, at.Place)
		}
	}
	return out
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
