package registry

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

// Half counts half epochs: epoch e begins at half 2e, its middle is half 2e+1.
type Half uint64

// HalfOf is the present half of an epoch.
func HalfOf(epoch uint64, pastMiddle bool) Half {
	if pastMiddle {
		return Half(2*epoch + 1)
	}
	return Half(2 * epoch)
}

// Epoch is the epoch that the half belongs to.
func (h Half) Epoch() uint64 { return uint64(h) / 2 }

// Entry is one blob that the network was asked to keep.
//
// Invariant: Leases is not empty; an entry without any becomes a Tombstone.
type Entry struct {
	_                struct{} `cbor:",toarray"`
	Manifest         blob.Manifest
	Units            uint64 // stored KiB: what it weighs and costs
	RegisteredEpoch  uint64 // last asked for, while not certified
	RegisteredHeight uint64
	CertifiedEpoch   uint64
	CertifiedHeight  uint64 // 0 while not certified
	Slot             uint64 // 1 + its place in the index of blobs that can be drawn; 0: none
	Invalid          bool   // proven badly encoded; kept for readers until the tombstone takes over
	Leases           []Lease
}

// ID is the blob's.
func (e Entry) ID() blob.ID { return e.Manifest.ID() }

// Certified says that the network has promised to keep the blob.
func (e Entry) Certified() bool { return e.CertifiedHeight > 0 }

// End is the first epoch in which nobody has a claim.
func (e Entry) End() uint64 {
	end := uint64(0)
	for _, l := range e.Leases {
		end = max(end, l.End)
	}
	return end
}

// Live says that somebody has a claim in the present epoch, or that it is not settled
// yet whether a lease was renewed for it: what is not stated to have ended is kept.
func (e Entry) Live(epoch uint64) bool {
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
func (e Entry) OwnedBy(owner token.Address, epoch uint64) (end uint64, ok bool) {
	for _, l := range e.Leases {
		if l.Owner == owner {
			end = max(end, l.End)
		}
	}
	return end, end > epoch
}

// Last is the place among Leases of an owner's lease that ends last; ok is false where
// there is none. It is the one that renews itself, if one does.
func (e Entry) Last(owner token.Address) (i int, ok bool) {
	i = -1
	for j, l := range e.Leases {
		if l.Owner == owner && (i < 0 || l.End > e.Leases[i].End) {
			i = j
		}
	}
	return i, i >= 0
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("registry: invariant broken: %v", err))
	}
	return v
}
