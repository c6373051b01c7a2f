package node

import (
	"context"
	"slices"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
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

// collectOnce drops what the ledger states has ended, and nothing else: an unknown
// blob is never garbage, and a ledger that is behind or was reset is not believed.
func (n *Node) collectOnce(ctx context.Context, now time.Time) error {
	if !n.ledger.AtTip() {
		return nil
	}
	v, release, err := n.ledger.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	d, err := dutyOf(v, n.id)
	if err != nil {
		return err
	}
	if err := n.dropStaged(ctx, v, now); err != nil {
		return err
	}
	type doomed struct {
		id     blob.ID
		places []blob.Place // empty: all of it
	}
	var list []doomed
	err = n.store.Blobs(func(id blob.ID, m blob.Manifest, staged bool) error {
		if staged {
			return nil
		}
		_, live, err := v.Blob(id)
		if err != nil {
			return err
		}
		if live {
			if gone := n.handedOver(d, id, m); len(gone) > 0 {
				list = append(list, doomed{id, gone})
			}
			return nil
		}
		t, buried, err := v.Tombstone(id)
		if err == nil && buried && t.MayGo(d.epoch) {
			list = append(list, doomed{id: id})
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, x := range list {
		if len(x.places) == 0 {
			if err := n.store.Drop(ctx, x.id); err != nil {
				return err
			}
			n.log.Info("dropped a blob that has ended", "blob", x.id, "epoch", d.epoch)
		}
		for _, p := range x.places {
			if err := n.store.DropPlace(ctx, x.id, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// handedOver is the places of a live blob that belong to shards this node neither
// has, nor had in the last epoch, nor keeps for a successor.
func (n *Node) handedOver(d duty, id blob.ID, m blob.Manifest) []blob.Place {
	if int(m.N) != d.shape.N {
		return nil
	}
	kept := d.places(id, d.kept)
	var out []blob.Place
	for p := range blob.Place(m.N) {
		if !slices.Contains(kept, p) && n.holdsAny(id, p) {
			out = append(out, p)
		}
	}
	return out
}

func (n *Node) holdsAny(id blob.ID, p blob.Place) bool {
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		if held, err := n.store.Has(blob.Position{Blob: id, Place: p, Axis: axis}); err == nil && held {
			return true
		}
	}
	return false
}

// dropStaged ends uploads that nobody registered in time. A staged blob was never
// promised: no confirmation was signed for it.
func (n *Node) dropStaged(ctx context.Context, v ledger.View, now time.Time) error {
	staged, err := n.store.Staged()
	if err != nil {
		return err
	}
	for _, s := range staged {
		entry, known, err := v.Blob(s.ID)
		switch {
		case err != nil:
			return err
		case known:
			err = n.store.Keep(ctx, entry.Manifest)
		case now.Sub(s.Since) > stagedFor:
			err = n.store.Drop(ctx, s.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
