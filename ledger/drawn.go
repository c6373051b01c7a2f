package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
)

// LastDraw is how the last round went in which a blob was drawn. A shard that passed
// has answered for everything that was drawn, this blob too; of one that did not,
// nothing is known of this blob.
type LastDraw struct {
	_       struct{} `cbor:",toarray"`
	Round   challenge.Round
	Ordinal uint64 // of all rounds of the chain
	Height  uint64 // of the draw
	TimeMs  int64  // of that block
	Stripes uint64 // of the blob that were asked for
	Void    bool   // so many did not pass that nobody is blamed; who passed has passed
	Passed  []byte // bit s mod 8 of byte s/8: shard s
	Failed  uint64 // shards; the other outcomes too
	Away    uint64
	Unclear uint64 // inconclusive
	Unready uint64 // not asked: their holders were still taking them over
}

// Proved says whether a shard has passed.
func (d LastDraw) Proved(s blob.Shard) bool {
	return int(s)/8 < len(d.Passed) && d.Passed[s/8]>>(s%8)&1 == 1
}

// LastDraw is the last round in which a blob was drawn; ok is false where it was not
// drawn yet, or the round is not over.
func (v View) LastDraw(id blob.ID) (LastDraw, bool, error) {
	return read[LastDraw](v, "last draw", KeyLastDraw(id))
}

// noteDrawn writes down, for each blob of a round that is over, how the round went: it
// is asked for by whoever owns one of them. Blobs that have ended have no record.
func (x *exec) noteDrawn(r RoundState, out staking.Round) {
	d := LastDraw{Round: r.Round, Ordinal: r.Ordinal, Height: r.T, TimeMs: r.TimeMs, Void: out.Voids(), Passed: make([]byte, (len(out.Outcomes)+7)/8)}
	for s, o := range out.Outcomes {
		switch o {
		case staking.Passed:
			d.Passed[s/8] |= 1 << (s % 8)
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

// takeBackDrawn says of the blobs of a round that a shard has not passed after all: it
// is not known whether it could have proven them. Later rounds stand.
func (x *exec) takeBackDrawn(r RoundState, shard blob.Shard) {
	for _, one := range r.Drawings {
		id := one.Manifest.ID()
		d, drawn, err := x.view().LastDraw(id)
		if !sure(drawn, err) || d.Ordinal != r.Ordinal || !d.Proved(shard) {
			continue // as where another stripe of the blob was drawn too
		}
		d.Passed[shard/8] &^= 1 << (shard % 8)
		d.Unclear++
		x.put(KeyLastDraw(id), d)
	}
}
