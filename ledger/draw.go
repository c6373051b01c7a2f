package ledger

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// DrawnStripe is a stripe that every shard is asked for, with the manifest of its blob: a blob
// that ends after the draw is still proven.
type DrawnStripe struct {
	_        struct{} `cbor:",toarray"`
	Manifest blob.Manifest
	Stripe   uint32
}

// opens says that the block opens a round, Freeze blocks before its draw. The height of the
// draw follows from the last beacon: it is known from the draw of the round before on, and
// not earlier.
func (x *exec) opens(last RoundState) bool {
	this := x.present()
	if last.T > 0 && last.Round == this {
		return false
	}
	p := x.p.Challenge
	at := x.head.Height.Since(x.head.EpochStart) % x.p.RoundBlocks
	return at+p.Freeze == p.Start+challenge.Offset(sure(x.view().Beacon()), this, p.Offsets(x.p.RoundBlocks, x.p.Shards))
}

// present is the round that the block's height is in.
func (x *exec) present() challenge.RoundID {
	return challenge.RoundID{Epoch: x.epoch(), Round: unit.Round(x.head.Height.Since(x.head.EpochStart) / x.p.RoundBlocks)}
}

// ordinal counts the rounds of the chain.
func (x *exec) ordinal() unit.Ordinal { return unit.Ordinal(uint64(x.head.Height) / x.p.RoundBlocks) }

// closerTries is how many shards are drawn for each closer: the holders of some are
// closers already, have no power, or are away. An absent node has paid already for its
// silence.
const closerTries = 8

// openRound opens the round of this height, and draws its closers by the last beacon.
func (x *exec) openRound(c Committee) RoundState {
	p, at, ordinal := x.p.Challenge, x.present(), x.ordinal()
	var closers []uint16
	for _, s := range challenge.CloserShards(sure(x.view().Beacon()), at, closerTries*p.Closers(), len(c.Holder)) {
		i, in := c.Index(c.Holder[s])
		fit := in && c.Nodes[i].Power > 0 && !slices.Contains(closers, uint16(i)) && x.lately(c.Holder[s], ordinal)
		if fit && len(closers) < p.Closers() {
			closers = append(closers, uint16(i))
		}
	}
	return newRound(at, ordinal, x.head.Height, p.Freeze, closers)
}

// draw selects the round's stripes by the complete beacon.
func (x *exec) draw(r *RoundState, c Committee, b Block) {
	x.put(KeyBeacon(), r.Beacon)
	r.draw(x.head.Height, b.TimeMs, x.drawings(r), c)
}

// drawings draws from the index as it stood when the round was opened. A blob that has
// ended since then is drawn but not asked for, also where it was registered again: nothing
// that happens to blobs after the opening changes the stripes that are drawn.
func (x *exec) drawings(r *RoundState) (out []DrawnStripe) {
	opened := r.opened(x.p.Challenge)
	ended := func(slot int) bool {
		at, freeing, err := read[unit.Height](x.view(), "slot to be freed", keyFreeing(uint64(slot)))
		return sure(freeing, err) && at < opened
	}
	for _, d := range challenge.DrawRound(x.p.Challenge, r.Beacon, x.index, ended) {
		if e, ok := x.entry(d.Blob); ok && e.Certified() && !e.Invalid && e.Slot > 0 && x.index.At(int(e.Slot-1)).Blob == d.Blob {
			out = append(out, DrawnStripe{Manifest: e.Manifest, Stripe: d.Stripe})
		}
	}
	return out
}

// Draws is the stripes that were drawn.
func (r RoundState) Draws() (out []challenge.Draw) {
	for _, d := range r.Drawings {
		out = append(out, challenge.Draw{Blob: d.Manifest.ID(), Stripe: d.Stripe})
	}
	return out
}

// Challenge is the challenge to a shard, on the chain whose round this is.
func (r RoundState) Challenge(chain token.ChainID, p challenge.Params, shard blob.Shard) challenge.Challenge {
	return challenge.New(p, chain, r.Round, r.Beacon, r.Draws(), shard, r.Commitment)
}

// Commitment is that of a drawn blob. Invariant: registration has checked the manifest.
func (r RoundState) Commitment(id blob.ID) blob.Commitment {
	for _, d := range r.Drawings {
		if d.Manifest.ID() == id {
			return must(d.Manifest.Commitment())
		}
	}
	return blob.Commitment{}
}
