package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/unit"
)

const (
	// garbageEvery is the time between two looks for what has ended.
	garbageEvery = time.Minute
	// stagedFor is how long an upload may wait for its registration.
	stagedFor = time.Hour
)

func (n *Node) collectAlways(ctx context.Context) error {
	for wait(ctx, n.config.GarbageEvery, nil) {
		if err := n.collectOnce(ctx, time.Now()); err != nil && ctx.Err() == nil {
			n.log.Warn("look for what has ended", "err", err)
		}
	}
	return nil
}

// sweep is what the last look through all blobs was for. A blob's bytes may go only
// when an epoch begins or the node's shards change, so one look suffices for each.
type sweep struct {
	done  bool
	epoch unit.Epoch
	kept  []blob.Shard
}

func (s sweep) covers(d duty) bool {
	return s.done && s.epoch == d.epoch && slices.Equal(s.kept, d.kept)
}

// deletion is what may go of a blob.
type deletion struct {
	id     blob.ID
	places []blob.Place // none: all of it
}

// collectOnce drops what the ledger states has ended, and nothing else: an unknown
// blob is never garbage, and a ledger that is behind or was reset is not believed.
func (n *Node) collectOnce(ctx context.Context, now time.Time) error {
	if !n.ledger.AtTip() {
		return nil
	}
	if err := n.dropStaged(ctx, now); err != nil {
		return err
	}
	d, list, err := n.deletions(ctx)
	if err != nil {
		return err
	}
	for _, x := range list {
		if err := n.drop(ctx, x); err != nil {
			return err
		}
	}
	n.swept = sweep{done: true, epoch: d.epoch, kept: d.kept}
	return nil
}

// deletions looks through all blobs, unless that was done for this duty.
func (n *Node) deletions(ctx context.Context) (d duty, list []deletion, err error) {
	v, release, err := n.ledger.Hold(ctx)
	if err != nil {
		return d, nil, err
	}
	defer release()
	if d, err = dutyOf(v, n.id); err != nil || n.swept.covers(d) {
		return d, nil, err
	}
	moved := !n.swept.done || !slices.Equal(n.swept.kept, d.kept)
	err = n.store.Blobs(func(id blob.ID, m blob.Manifest, staged bool) error {
		if staged {
			return nil
		}
		x, ends, err := n.ending(v, d, id, m, moved)
		if ends {
			list = append(list, x)
		}
		return err
	})
	return d, list, err
}

// ending is what of a blob the ledger says has ended. moved says whether shards may
// have been handed over since it was last asked.
func (n *Node) ending(v ledger.View, d duty, id blob.ID, m blob.Manifest, moved bool) (x deletion, ends bool, err error) {
	_, live, err := v.Blob(id)
	if err != nil {
		return x, false, err
	}
	if live {
		if moved {
			x.id = id
			x.places, err = n.handedOver(d, id, m)
		}
		return x, len(x.places) > 0, err
	}
	t, buried, err := v.Tombstone(id)
	return deletion{id: id}, err == nil && buried && t.MayGo(d.epoch), err
}

// drop asks the ledger once more, for it may have moved on since the list was made, and
// drops while no confirmation is signed: what was stored anew meanwhile stays.
func (n *Node) drop(ctx context.Context, x deletion) error {
	n.drops.Lock()
	defer n.drops.Unlock()
	v, err := n.ledger.View(ctx)
	if err != nil {
		return err
	}
	d, err := dutyOf(v, n.id)
	if err != nil {
		return err
	}
	m, held, err := n.store.Manifest(x.id)
	if err != nil || !held || n.incoming.any(x.id) {
		return err // what is being stored again is looked at in the next epoch
	}
	x, ends, err := n.ending(v, d, x.id, m, len(x.places) > 0)
	if err != nil || !ends {
		return err
	}
	if len(x.places) == 0 {
		n.log.Info("drops a blob that has ended", "blob", x.id, "epoch", d.epoch)
		return n.store.Drop(ctx, x.id)
	}
	for _, p := range x.places {
		if err := n.store.DropPlace(ctx, x.id, p); err != nil {
			return err
		}
	}
	return nil
}

// handedOver is the places of a live blob of which something is held and that belong
// to shards this node neither has, nor had in the last epoch, nor keeps for a successor.
func (n *Node) handedOver(d duty, id blob.ID, m blob.Manifest) ([]blob.Place, error) {
	c, err := m.Commitment()
	if err != nil || c.Layout.Shape != d.shape {
		return nil, err
	}
	kept := d.places(id, d.kept)
	missing := map[blob.Place]int{}
	for p := range blob.Place(m.N) {
		if !slices.Contains(kept, p) {
			missing[p] = 0
		}
	}
	others := slices.Sorted(maps.Keys(missing))
	if err := n.store.EachMissing(c, others, func(at blob.Position) { missing[at.Place]++ }); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(others, func(p blob.Place) bool { return missing[p] == 2*c.Layout.Stripes }), nil
}

// dropStaged ends uploads that were not registered in time. A staged blob was never
// promised: no confirmation was signed for it.
func (n *Node) dropStaged(ctx context.Context, now time.Time) error {
	staged, err := n.store.Staged()
	if err != nil {
		return err
	}
	for _, s := range staged {
		if now.Sub(s.Since) > stagedFor {
			if err := n.endStaged(ctx, s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) endStaged(ctx context.Context, id blob.ID) error {
	n.drops.Lock()
	defer n.drops.Unlock()
	_, err := n.dropIfUnpaid(ctx, id)
	return err
}

// dropIfUnpaid drops a staged blob that no client is sending or has paid for; one that
// was paid for is kept. drops must be held.
func (n *Node) dropIfUnpaid(ctx context.Context, id blob.ID) (dropped bool, err error) {
	if n.incoming.any(id) {
		return false, nil
	}
	v, err := n.ledger.View(ctx)
	if err != nil {
		return false, err
	}
	entry, known, err := v.Blob(id)
	if err != nil {
		return false, err
	}
	if known {
		return false, n.store.Keep(ctx, entry.Manifest)
	}
	return true, n.store.Drop(ctx, id)
}

// dropOldestStaged makes room in the corner: a quarter of the blobs in it at least,
// so that not every offer has to. drops must be held.
func (n *Node) dropOldestStaged(ctx context.Context) error {
	staged, err := n.store.Staged()
	if err != nil {
		return err
	}
	slices.SortFunc(staged, func(a, b store.StagedBlob) int { return a.Since.Compare(b.Since) })
	for gone, i := 0, 0; i < len(staged) && 4*gone <= len(staged); i++ {
		dropped, err := n.dropIfUnpaid(ctx, staged[i].ID)
		if err != nil {
			return err
		}
		if dropped {
			gone++
		}
	}
	return nil
}
