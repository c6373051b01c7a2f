package challenge

import (
	"math/bits"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// Draw is a stripe of a blob that all shards are asked for.
type Draw struct {
	Blob   blob.ID
	Stripe uint32
}

// EndedFunc says whether the blob of a slot had ended or was invalid when the index began to
// stand still: it is drawn again. All else that a draw follows from is in the index.
type EndedFunc func(slot int) bool

// DrawRound is what a round asks for, in order: first the draws by bytes, then those
// by count. Equal draws collapse, so there may be fewer than Params.Draws, and none
// without blobs. Of few blobs only some are drawn, and more stripes of each.
func DrawRound(p Params, beacon Beacon, x *Index, ended EndedFunc) []Draw {
	d := drawer{p: p, x: x, ended: ended, most: max(1, x.Live()/int(p.FewBlobs))}
	if x.Live() == 0 {
		return nil
	}
	for i := range p.Draws() {
		d.draw(newStream("walrus 2026 draw v1", beacon, uint64(i)), uint64(i) < p.ByBytes)
	}
	return d.out
}

type drawer struct {
	p     Params
	x     *Index
	ended EndedFunc
	most  int // distinct blobs
	blobs []Slot
	out   []Draw
}

// draw adds one draw. What has ended is drawn again, and so is what was drawn before:
// then the round gets as many stripes as there are.
func (d *drawer) draw(s stream, byBytes bool) {
	for range d.p.Redraws {
		one, ok := d.pick(s, byBytes)
		if ok && !slices.Contains(d.out, one) {
			d.out = append(d.out, one)
			return
		}
	}
}

func (d *drawer) pick(s stream, byBytes bool) (Draw, bool) {
	var at int
	var rest unit.KiB
	if byBytes {
		at, rest = d.x.byUnits(unit.KiB(s.below(uint64(d.x.Total()))))
	} else {
		at = d.x.byNumber(uint32(s.below(uint64(d.x.Live()))))
		rest = unit.KiB(s.below(uint64(d.x.At(at).Units)))
	}
	slot := d.x.At(at)
	if !slices.Contains(d.blobs, slot) {
		if len(d.blobs) == d.most { // another stripe of one that is drawn already
			slot = d.blobs[s.below(uint64(len(d.blobs)))]
			return Draw{Blob: slot.Blob, Stripe: uint32(s.below(slot.Stripes))}, true
		}
		if slot.Stripes < 1 || d.ended(at) {
			return Draw{}, false
		}
		d.blobs = append(d.blobs, slot)
	}
	return Draw{Blob: slot.Blob, Stripe: stripeAt(rest, slot.Units, slot.Stripes)}, true
}

// stripeAt is the stripe that KiB at of a blob of units belongs to.
func stripeAt(at, units unit.KiB, stripes uint64) uint32 {
	hi, lo := bits.Mul64(uint64(at), stripes)
	q, _ := bits.Div64(hi, lo, uint64(units)) // at < units
	return uint32(q)
}
