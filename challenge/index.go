package challenge

import (
	"math/bits"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// Index holds the blobs that can be drawn, each in a slot of its own, so that one is
// found by weight or by number in the logarithm of how many there are. It is derived
// from what the ledger keeps, and kept in memory.
//
// Invariant: units and count are Fenwick trees over the slots' weights; a slot without
// a blob weighs nothing.
type Index struct {
	slots []Slot
	units []unit.KiB // [i] sums the slots i - lowbit(i) .. i-1
	count []uint32
	total unit.KiB
	live  uint32
}

// Slot is a blob and its weight in stored KiB; of no units there is none.
type Slot struct {
	_       struct{} `cbor:",toarray"`
	Blob    blob.ID
	Units   unit.KiB
	Stripes uint64 // of the blob
}

// NewIndex is an index without blobs.
func NewIndex() *Index { return &Index{units: make([]unit.KiB, 1), count: make([]uint32, 1)} }

// Len is the number of slots, empty ones too.
func (x *Index) Len() int { return len(x.slots) }

// Live is the number of blobs.
func (x *Index) Live() int { return int(x.live) }

// Total is the stored KiB of all.
func (x *Index) Total() unit.KiB { return x.total }

// At is what slot i holds.
func (x *Index) At(i int) Slot { return x.slots[i] }

// Set puts a blob into slot i, or empties it. Slots up to it come into being.
func (x *Index) Set(i int, s Slot) {
	for len(x.slots) <= i {
		x.grow()
	}
	was := x.slots[i]
	if s.Units == 0 {
		s = Slot{}
	}
	x.slots[i] = s
	more, less := occupied(s), occupied(was)
	for n := i + 1; n < len(x.units); n += n & -n {
		x.units[n] += s.Units - was.Units // wraps, and wraps back
		x.count[n] += more - less
	}
	x.total += s.Units - was.Units
	x.live += more - less
}

func occupied(s Slot) uint32 {
	if s.Units > 0 {
		return 1
	}
	return 0
}

// grow adds an empty slot: its node sums the nodes below it.
func (x *Index) grow() {
	x.slots = append(x.slots, Slot{})
	n := len(x.slots)
	var units unit.KiB
	var count uint32
	for m := n - 1; m > n-n&-n; m -= m & -m {
		units += x.units[m]
		count += x.count[m]
	}
	x.units, x.count = append(x.units, units), append(x.count, count)
}

// byUnits is the slot that the KiB at holds when all are laid end to end, and which of
// that slot's it is. at must be below Total.
func (x *Index) byUnits(at unit.KiB) (slot int, rest unit.KiB) {
	slot = descend(x.units, func(sum unit.KiB) bool {
		if sum > at {
			return false
		}
		at -= sum
		return true
	})
	return slot, at
}

// byNumber is the slot of the blob with number at, which must be below Live.
func (x *Index) byNumber(at uint32) int {
	return descend(x.count, func(sum uint32) bool {
		if sum > at {
			return false
		}
		at -= sum
		return true
	})
}

// descend walks down a Fenwick tree, past every part that pass takes.
func descend[T ~uint64 | ~uint32](tree []T, pass func(T) bool) int {
	at := 0
	for step := 1 << bits.Len(uint(len(tree)-1)); step > 0; step >>= 1 {
		if next := at + step; next < len(tree) && pass(tree[next]) {
			at = next
		}
	}
	return at
}
