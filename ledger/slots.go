package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// moveSlots is how many blobs a block takes into the index, and how many out.
const moveSlots = 1000

// The index of blobs that can be drawn is part of the state: a slot each, a free slot
// is used again. A blob has a slot from a round after its certificate on, and keeps it
// until some block after its end. Between the opening of a round and its draw the index
// stands still.

// queueSlot notes that a blob is certified.
func (x *exec) queueSlot(id blob.ID) {
	if x.p.asks() {
		x.o.Set(keyEligible(x.head.Height.Plus(x.p.RoundBlocks), id), nil)
	}
}

// queueFree notes that the blob of an entry has ended, and when: a round that was opened
// before draws from its slot still.
func (x *exec) queueFree(e registry.Entry) {
	if e.Slot > 0 {
		x.put(keyFreeing(e.Slot-1), x.head.Height)
	}
}

// moveIndex takes in what has become eligible, and out what has ended.
func (x *exec) moveIndex() {
	if !x.p.asks() {
		return
	}
	if r, ok, err := x.view().Round(); sure(ok, err) && !r.Over && !r.Drawn {
		return
	}
	blobs, units := uint64(0), unit.KiB(0) // more than before, and fewer: sums wrap, and wrap back
	for _, k := range x.first(key(letterFreeing), moveSlots) {
		slot := numberAt(k)
		s, _, err := read[challenge.Slot](x.view(), "slot", keySlot(slot))
		blobs, units = blobs-1, units-sure(s, err).Units
		x.o.Delete(keyFreeing(slot))
		x.o.Delete(keySlot(slot))
		x.o.Set(keyFree(slot), nil)
	}
	for _, k := range x.first(key(letterEligible), moveSlots) {
		if unit.Height(numberAt(k)) > x.head.Height {
			break
		}
		id := blob.ID(k[8:])
		x.o.Delete(keyEligible(unit.Height(numberAt(k)), id))
		// A certificate that is younger than a round has a place of its own in the queue: the
		// blob ended, and was registered again.
		if e, ok := x.entry(id); ok && e.Certified() && e.Slot == 0 && e.CertifiedHeight.Plus(x.p.RoundBlocks) <= x.head.Height {
			slot := x.freeSlot()
			e.Slot = slot + 1
			x.put(KeyBlob(id), e)
			x.put(keySlot(slot), challenge.Slot{Blob: id, Units: e.Units, Stripes: uint64(sure(e.Manifest.Layout()).Stripes)})
			blobs, units = blobs+1, units+e.Units
		}
	}
	if blobs != 0 || units != 0 {
		x.usage(func(u *Usage) { u.Drawable, u.DrawableKiB = u.Drawable+blobs, u.DrawableKiB+units })
	}
}

// freeSlot is the lowest slot without a blob.
func (x *exec) freeSlot() (slot uint64) {
	if free := x.first(key(letterFree), 1); len(free) > 0 {
		slot = numberAt(free[0])
		x.o.Delete(keyFree(slot))
		return slot
	}
	x.usage(func(u *Usage) { slot, u.Slots = u.Slots, u.Slots+1 })
	return slot
}

// first is what follows the prefix in its first keys.
func (x *exec) first(prefix []byte, most int) (out [][]byte) {
	err := x.o.Each(prefix, func(k, _ []byte) error {
		if len(out) == most {
			return errEnough
		}
		out = append(out, append([]byte(nil), k[len(prefix):]...))
		return nil
	})
	if err != nil && err != errEnough {
		panic(readFailure{err})
	}
	return out
}

// EachSlot walks the index.
func (v View) EachSlot(fn func(slot int, s challenge.Slot) error) error {
	return each(v, key(letterSlot), func(k []byte, s challenge.Slot) error { return fn(int(numberAt(k)), s) })
}

// slotOf is what a change leaves in a slot.
func slotOf(c state.Change) (s challenge.Slot) {
	if !c.Delete {
		sure(s, canon.Decode(c.Value, &s))
	}
	return s
}
