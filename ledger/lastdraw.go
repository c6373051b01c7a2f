package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// LastDraw is the result of the last round in which a blob was drawn. A shard that passed
// has proven all drawn stripes, those of this blob too. A shard that did not pass may have
// missed another blob's stripe.
type LastDraw struct {
	_       struct{} `cbor:",toarray"`
	Round   challenge.RoundID
	Ordinal unit.Ordinal  // number of the round among all of the chain
	Height  unit.Height   // of the draw
	TimeMs  int64         // of that block
	Stripes uint64        // of the blob that were drawn
	Void    bool          // too many shards did not pass: no strikes; the passes count
	Passed  blob.ShardSet // shards that proved all drawn stripes
	Failed  uint64        // shards, as in the next three
	Away    uint64
	Unclear uint64 // inconclusive
	Unready uint64 // not asked: their holders were not ready
}

// Proved says whether a shard has passed.
func (d LastDraw) Proved(s blob.Shard) bool { return d.Passed.Has(s) }

// LastDraw is the last round in which a blob was drawn; ok is false where it was not
// drawn yet, or the round is not over.
func (v View) LastDraw(id blob.ID) (LastDraw, bool, error) {
	return read[LastDraw](v, "last draw", KeyLastDraw(id))
}

// noteDrawn keeps the result of a round with each blob that was drawn in it, for the blob's
// owners. A blob that has ended has no record.
func (x *exec) noteDrawn(r RoundState, out staking.RoundResult) {
	d := LastDraw{Round: r.Round, Ordinal: r.Ordinal, Height: r.T, TimeMs: r.TimeMs, Void: out.Voids(), Passed: passed(out)}
	for _, o := range out.Outcomes {
		switch o {
		case staking.Failed:
			d.Failed++
		case staking.Away:
			d.Away++
		case staking.Inconclusive:
			d.Unclear++
		case staking.Unready:
			d.Unready++
		}
	}
	stripes := map[blob.ID]uint64{}
	for _, one := range r.Drawings {
		stripes[one.Manifest.ID()]++
	}
	for _, one := range r.Drawings {
		id := one.Manifest.ID()
		if e, ok := x.entry(id); ok && e.Certified() {
			d.Stripes = stripes[id]
			x.put(KeyLastDraw(id), d)
		}
	}
}

// takeBackDrawn takes a shard's pass back from the blobs of a round: it is not known whether
// the holder could have proven them. Later rounds stand.
func (x *exec) takeBackDrawn(r RoundState, shard blob.Shard) {
	for _, one := range r.Drawings {
		id := one.Manifest.ID()
		d, drawn, err := x.view().LastDraw(id)
		if !sure(drawn, err) || d.Ordinal != r.Ordinal || !d.Proved(shard) {
			continue // also where a second stripe of the blob was drawn: taken back already
		}
		d.Passed.Remove(shard)
		d.Unclear++
		x.put(KeyLastDraw(id), d)
	}
}
