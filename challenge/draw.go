package challenge

import (
	"math/bits"
	"slices"

	"github.com/walrus-network/walrus/blob"
)

// Draw is a stripe of a blob that all shards are asked for.
type Draw struct {
	Blob   blob.ID
	Stripe uint32
}

// Stripes says how many stripes a blob has; ok is false for one that has ended or is
// invalid, of which nothing is asked.
type Stripes func(blob.ID) (n int, ok bool)

// DrawRound is what a round asks for, in order: first the draws by bytes, then those
// by count. Equal draws collapse, so there may be fewer than Params.Draws, and none
// without blobs. Of few blobs only some are drawn, and more stripes of each.
func DrawRound(p Params, beacon Beacon, x *Index, stripes Stripes) []Draw {
	d := drawer{p: p, x: x, stripes: stripes, most: max(1, x.Live()/int(p.FewBlobs))}
	if x.Live() == 0 {
		return nil
	}
	for i := range p.Draws() {
		d.draw(newStream("walrus 2026 draw v1", beacon, uint64(i)), uint64(i) < p.ByBytes)
	}
	return d.out
}

type drawer struct {
	p       Params
	x       *Index
	stripes Stripes
	most    int // distinct blobs
	blobs   []blob.ID
	out     []Draw
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
	var slot Slot
	var rest uint64
	if byBytes {
		i, at := d.x.ByUnits(s.below(d.x.Total()))
		slot, rest = d.x.At(i), at
	} else {
		slot = d.x.At(d.x.ByNumber(uint32(s.below(uint64(d.x.Live())))))
		rest = s.below(slot.Units)
	}
	if !slices.Contains(d.blobs, slot.Blob) {
		if len(d.blobs) == d.most { // another stripe of one that is drawn already
			return d.again(s)
		}
	}
	n, ok := d.stripes(slot.Blob)
	if !ok || n < 1 {
		return Draw{}, false
	}
	if !slices.Contains(d.blobs, slot.Blob) {
		d.blobs = append(d.blobs, slot.Blob)
	}
	return Draw{Blob: slot.Blob, Stripe: stripeAt(rest, slot.Units, n)}, true
}

func (d *drawer) again(s stream) (Draw, bool) {
	id := d.blobs[s.below(uint64(len(d.blobs)))]
	n, ok := d.stripes(id)
	return Draw{Blob: id, Stripe: uint32(s.below(uint64(max(n, 1))))}, ok
}

// stripeAt is the stripe that KiB at of a blob of units belongs to.
func stripeAt(at, units uint64, stripes int) uint32 {
	hi, lo := bits.Mul64(at, uint64(stripes))
	q, _ := bits.Div64(hi, lo, units) // at < units
	return uint32(q)
}
