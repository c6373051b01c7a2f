package report

import (
	"errors"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Overview is the network in figures: epoch, committee, prices, room, power, strength.
type Overview struct {
	EpochEnd      unit.Height  `json:"epoch_end_height"`           // last block of the epoch
	EpochEndTime  time.Time    `json:"epoch_end_time"`             // when the next epoch begins, estimated, UTC
	Nodes         int          `json:"nodes"`                      // nodes with shards
	Shards        int          `json:"shards"`                     // N
	Faults        int          `json:"f"`                          // shards that may fail or lie
	StoredMiB     token.Amount `json:"price_per_stored_mib_epoch"` // for a MiB in the network and an epoch
	BlobMiB       token.Amount `json:"price_per_mib_epoch"`        // for a MiB of a large blob and an epoch
	WriteMiB      token.Amount `json:"write_price_per_mib"`        // for writing a MiB of a large blob, once
	DefaultEpochs uint64       `json:"default_epochs"`             // of a lease
	MaxEpochs     uint64       `json:"max_epochs"`                 // of a lease
	UsedKiB       unit.KiB     `json:"used_kib"`                   // stored KiB, promised
	RoomKiB       unit.KiB     `json:"room_kib"`                   // stored KiB, most that may be promised
	Power         Power        `json:"power"`
	Strength      *Strength    `json:"strength,omitempty"`    // nil: NoStrength gives the reason
	NoStrength    string       `json:"no_strength,omitempty"` // in a sentence
}

// Power is how the shards are spread, and the cost of a third of them.
type Power struct {
	Stake         token.Amount   `json:"stake"` // that counts, of all nodes of the committee
	Largest       staking.NodeID `json:"largest_node"`
	LargestShards int            `json:"largest_shards"`
	Cap           int            `json:"cap"`         // shards: a node gets no more while others have the stake for the rest
	CapLifted     bool           `json:"cap_lifted"`  // LargestShards > Cap
	ThirdCosts    token.Amount   `json:"third_costs"` // stake with which a newcomer gets more than a third of the shards
}

// Overview works the figures out. The errors are those of the view, of prices that
// overflow, and ledger.ErrNoCommittee.
func (n Now) Overview() (out Overview, err error) {
	committee, err := n.View.Committee(n.Head.Epoch)
	if err != nil {
		return out, err
	}
	shape, err := n.Params.Shape()
	if err != nil {
		return out, err
	}
	keys := [][]byte{ledger.KeyUsage()}
	for _, m := range committee.Nodes {
		keys = append(keys, ledger.KeyPool(m.ID))
	}
	if err := n.Prefetch(keys...); err != nil {
		return out, err
	}
	usage, err := n.View.Usage()
	if err != nil {
		return out, err
	}
	out = Overview{EpochEnd: n.Head.EpochEnd, EpochEndTime: n.Begins(n.Head.Epoch + 1).UTC(), Nodes: committee.Holders(),
		Shards: shape.N, Faults: shape.F, DefaultEpochs: n.Params.Registry.DefaultEpochs, MaxEpochs: n.Params.Registry.MaxEpochs,
		UsedKiB: usage.ReservedKiB, RoomKiB: usage.ShardKiB * unit.KiB(shape.N)}
	const mib, many = 1 << 20, 1 << 10 // the price of many MiB, so that nothing is rounded
	l, err := shape.Layout(many * mib)
	if err != nil {
		return out, err
	}
	stored, err1 := n.Params.Registry.PriceOf(unit.KiBOf(mib))
	large, err2 := n.Params.Registry.PriceOf(l.StoredKiB() / many)
	write, err3 := n.Params.Registry.WritePriceOf(l.StoredKiB() / many)
	out.StoredMiB, out.BlobMiB, out.WriteMiB = stored, large, write
	out.Strength, out.NoStrength = n.Strength(committee, usage)
	of, err4 := n.View.Power(committee, n.Params)
	out.Power = Power{of.Stake, of.Largest, of.Shards, of.Cap, of.Lifted(), of.Third}
	return out, errors.Join(err1, err2, err3, err4)
}
