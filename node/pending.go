package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/unit"
)

const (
	// fullEvery is the time between two looks through all blobs though nothing calls
	// for one: what slipped through is found.
	fullEvery = 30 * time.Minute
	// fullAfterRot is the least time between two looks for what has rotted.
	fullAfterRot = 10 * time.Second
	// maxBackoff is the longest that a blob waits whose repair failed again and again.
	maxBackoff = time.Minute
)

// pending is the blobs that may lack something here. A blob that was seen whole is
// not in it, and is not looked at again before something calls for it: a block that
// wrote its entry, other shards to hold, rot, or time.
type pending struct {
	blobs map[blob.ID]*work

	looked unit.Height  // height of the ledger when it was last compared
	shards []blob.Shard // the duty of then
	rotten int64        // the store's losses of then
	full   time.Time    // when all blobs were last looked through; zero: never
}

// work is what a node lacks of one blob.
type work struct {
	c       blob.Commitment
	checked bool  // the numbers below are known
	missing int   // fragments
	bytes   int64 // their weight
	tries   int   // that failed so far
	next    time.Time
}

func newPending() *pending { return &pending{blobs: map[blob.ID]*work{}} }

// note marks a blob as one to be looked at.
func (p *pending) note(id blob.ID) {
	if w := p.blobs[id]; w != nil {
		w.checked = false
		return
	}
	p.blobs[id] = &work{}
}

// gather notes what has to be looked at as of v.
func (p *pending) gather(v ledger.View, d duty, changed []blob.ID, known bool, rotten int64, now time.Time) error {
	rotted := rotten != p.rotten && now.Sub(p.full) >= fullAfterRot
	full := !known || p.full.IsZero() || now.Sub(p.full) >= fullEvery || rotted || !slices.Equal(p.shards, d.shards)
	if full {
		err := v.EachBlob(func(id blob.ID, e registry.Entry) error {
			if e.Certified() && e.Live(d.epoch) {
				p.note(id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for id := range p.blobs {
			p.note(id) // also what is not there any more
		}
		p.full, p.rotten, p.shards = now, rotten, d.shards
	}
	for _, id := range changed {
		p.note(id)
	}
	p.looked = d.height
	return nil
}

// check works out what is missing of the noted blobs, and forgets those of which nothing is.
func (n *Node) check(ctx context.Context, v ledger.View, d duty) error {
	for id, w := range n.pending.blobs {
		if w.checked {
			continue
		}
		e, ok, err := v.Blob(id)
		if err != nil {
			return err
		}
		if !ok || !e.Certified() || !e.Live(d.epoch) {
			delete(n.pending.blobs, id) // the block that certifies it brings it back
			continue
		}
		if n.incoming.underWay(id) {
			continue // it may be complete in a moment; until then it counts as not
		}
		if w.c, err = e.Manifest.Commitment(); err != nil {
			return fmt.Errorf("blob %s: %w", id, err)
		}
		w.missing, w.bytes = 0, 0
		kept, rest := n.conduct.keeps(id, d.places(id, d.shards))
		if err := n.LetGo(ctx, id, rest); err != nil {
			return err
		}
		err = n.store.EachMissing(w.c, kept, func(at blob.Position) {
			w.missing++
			w.bytes += int64(w.c.Layout.FragmentBytes(int(at.Stripe), at.Axis))
		})
		if err != nil {
			return err
		}
		if w.checked = true; w.missing == 0 {
			delete(n.pending.blobs, id)
		}
	}
	return nil
}

// due is what may be repaired now, nearest to loss first: every shard holds a place
// of every blob, so what a node can know of that is how much it lacks itself. A blob
// that could not be repaired just now waits for the others.
func (p *pending) due(now time.Time) []*work {
	var out []*work
	for _, w := range p.blobs {
		if w.checked && !now.Before(w.next) {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *work) int {
		return cmp.Or(cmp.Compare(a.tries, b.tries), cmp.Compare(b.part(), a.part()), slices.Compare(a.c.ID[:], b.c.ID[:]))
	})
	return out
}

// part is how much of the node's fragments of the blob is missing, in thousandths of a stripe.
func (w *work) part() int { return 1000 * w.missing / w.c.Layout.Stripes }

// failed notes that a repair failed: at first it is tried again soon, since nodes that
// restart together are back in a moment.
func (w *work) failed(now time.Time) {
	w.tries++
	w.next = now
	if over := w.tries - patientTries; over > 0 {
		w.next = now.Add(min(maxBackoff, time.Second<<min(over, 10)))
	}
}
