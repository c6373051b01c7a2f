package registry

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Half counts half epochs: epoch e begins at half 2e, its middle is half 2e+1.
type Half uint64

// HalfOf is the present half of an epoch.
func HalfOf(epoch unit.Epoch, pastMiddle bool) Half {
	if pastMiddle {
		return Half(2*epoch + 1)
	}
	return Half(2 * epoch)
}

// Epoch is the epoch that the half belongs to.
func (h Half) Epoch() unit.Epoch { return unit.Epoch(h / 2) }

// Entry is one blob that the network was asked to keep.
//
// Invariant: Leases is not empty; an entry without any becomes a Tombstone.
type Entry struct {
	_                struct{} `cbor:",toarray"`
	Manifest         blob.Manifest
	Units            unit.KiB   // stored KiB: what it weighs and costs
	RegisteredEpoch  unit.Epoch // last asked for, while not certified
	RegisteredHeight unit.Height
	CertifiedEpoch   unit.Epoch
	CertifiedHeight  unit.Height // 0 while not certified
	Slot             uint64      // 1 + its place in the index of blobs that can be drawn; 0: none
	Invalid          bool        // proven badly encoded; kept for readers until the tombstone takes over
	Leases           []Lease
}

// ID is the blob's.
func (e Entry) ID() blob.ID { return e.Manifest.ID() }

// Certified says that the network has promised to keep the blob.
func (e Entry) Certified() bool { return e.CertifiedHeight > 0 }

// End is the first epoch in which no owner has a claim.
func (e Entry) End() unit.Epoch {
	end := unit.Epoch(0)
	for _, l := range e.Leases {
		end = max(end, l.End)
	}
	return end
}

// Live says that an owner has a claim in the present epoch, or that it is not settled yet
// whether a lease was renewed for it: what is not stated to have ended is kept.
func (e Entry) Live(epoch unit.Epoch) bool {
	return !e.Invalid && slices.ContainsFunc(e.Leases, func(l Lease) bool {
		return l.End > epoch || e.Certified() && l.Renews()
	})
}

// LapsesAt is when a registration that was not certified lapses: a certificate of
// its epoch e counts until the middle of e+1.
func (e Entry) LapsesAt() Half { return Half(2*(e.RegisteredEpoch+1) + 1) }

// Due is when the entry must be looked at next: a lease ends or renews itself, or the
// registration lapses.
func (e Entry) Due() Half {
	due := Half(2 * e.End())
	for _, l := range e.Leases {
		due = min(due, Half(2*l.End))
		if e.Certified() && l.Renews() {
			due = min(due, l.RenewsAt())
		}
	}
	if !e.Certified() {
		due = min(due, e.LapsesAt())
	}
	return due
}

// OwnedBy is the end of an owner's claim; ok is false where there is none in epoch.
func (e Entry) OwnedBy(owner token.Address, epoch unit.Epoch) (end unit.Epoch, ok bool) {
	for _, l := range e.Leases {
		if l.Owner == owner {
			end = max(end, l.End)
		}
	}
	return end, end > epoch
}

// PaidBy says whether a payer has a lease for an owner that lasts beyond epoch.
func (e Entry) PaidBy(owner, payer token.Address, epoch unit.Epoch) (end unit.Epoch, ok bool) {
	if i, ok := e.LastOf(owner, payer); ok {
		end = e.Leases[i].End
	}
	return end, end > epoch
}

// LastOf is the place among Leases of the lease that ends last of those that a payer
// has for an owner; ok is false where there is none.
func (e Entry) LastOf(owner, payer token.Address) (i int, ok bool) {
	return e.last(func(l Lease) bool { return l.Owner == owner && l.Payer == payer })
}

// Rivals is how many leases there are of the sort of a new one: those that their owners
// pay, or those that others pay for them. Each sort has its own places, so that leases
// which strangers pay for an owner keep no owner out.
func (e Entry) Rivals(own bool) (n uint64) {
	for _, l := range e.Leases {
		if (l.Owner == l.Payer) == own {
			n++
		}
	}
	return n
}

// Segments is how many leases an owner has.
func (e Entry) Segments(owner token.Address) (n uint64) {
	for _, l := range e.Leases {
		if l.Owner == owner {
			n++
		}
	}
	return n
}

// Last is the place among Leases of the owner's lease that a renewal of the owner's is
// left with: the last that the owner pays, else the last that another account pays for
// the owner; ok is false where there is none.
func (e Entry) Last(owner token.Address) (i int, ok bool) {
	if i, ok = e.LastOf(owner, owner); ok {
		return i, true
	}
	return e.last(func(l Lease) bool { return l.Owner == owner })
}

func (e Entry) last(of func(Lease) bool) (i int, ok bool) {
	i = -1
	for j, l := range e.Leases {
		if of(l) && (i < 0 || l.End > e.Leases[i].End) {
			i = j
		}
	}
	return i, i >= 0
}

// Extended is the entry with epochs added to the end of an owner's claim, which the owner
// pays at the present price, and the lease that this buys. The last lease that the owner
// pays grows where it ends there and has the same price. Else the added epochs are a lease of
// its own, permanent as that one is, to which the owner's renewal moves. A price beyond any
// supply must have been refused before (Params.CostOf).
func (e Entry) Extended(owner token.Address, epochs uint64, p Params) (longer Entry, added Lease) {
	end, _ := e.OwnedBy(owner, 0)
	added = Lease{Owner: owner, Payer: owner, Start: end, End: end.Plus(epochs), Price: must(p.PriceOf(e.Units))}
	e.Leases = slices.Clone(e.Leases)
	var moved Renewal
	if i, own := e.LastOf(owner, owner); own {
		last := &e.Leases[i]
		added.Permanent = last.Permanent
		if last.End == end && last.Price == added.Price {
			last.End = added.End
			return e, added
		}
		moved, last.Renewal = last.Renewal, Renewal{}
	}
	e.Leases = append(e.Leases, added)
	e.Leases[len(e.Leases)-1].Renewal = moved
	return e, added
}

// Refund is what a lease gives back to its payer when it ends before its time and the
// bytes may go in epoch from: what it paid for the epochs from then on, and for writing
// what was never certified. The epochs in which the room is still held stay paid.
func (e Entry) Refund(l Lease, from unit.Epoch) token.Amount {
	if e.Certified() {
		return l.Unused(from)
	}
	return must(l.Unused(from).Add(l.Write))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("registry: invariant broken: %v", err))
	}
	return v
}
