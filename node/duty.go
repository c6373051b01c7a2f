package node

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// duty is what the ledger says a node must hold in an epoch.
type duty struct {
	height unit.Height // the ledger's, when it said so
	epoch  unit.Epoch
	shape  blob.Shape
	shards []blob.Shard // it has the duty for
	moving []blob.Shard // of these: not yet reported ready
	kept   []blob.Shard // it has, had in the last epoch, or keeps for another: not to be dropped
}

// dutyOf reads a node's duty from the ledger.
func dutyOf(v ledger.View, id staking.NodeID) (duty, error) {
	head, err := v.Head()
	if err != nil {
		return duty{}, err
	}
	params, err := v.Params()
	if err != nil {
		return duty{}, err
	}
	d := duty{height: head.Height, epoch: head.Epoch}
	if d.shape, err = params.Shape(); err != nil {
		return duty{}, err
	}
	now, err := v.Committee(head.Epoch)
	if err != nil {
		return duty{}, err
	}
	d.shards = now.Duty(id)
	for _, s := range d.shards {
		if !now.From[s].IsZero() {
			d.moving = append(d.moving, s)
		}
	}
	d.kept = append(slices.Clone(d.shards), now.Keeping(id)...)
	if head.Epoch > 0 {
		// What was handed over goes only after the end of the epoch that followed.
		before, err := v.Committee(head.Epoch - 1)
		if err != nil {
			return duty{}, err
		}
		d.kept = append(append(d.kept, before.Duty(id)...), before.Keeping(id)...)
	}
	return d, nil
}

// places is the places of a blob that the shards keep.
func (d duty) places(id blob.ID, shards []blob.Shard) []blob.Place {
	out := make([]blob.Place, len(shards))
	for i, s := range shards {
		out[i] = id.PlaceOf(s, d.shape.N)
	}
	slices.Sort(out)
	return out
}
