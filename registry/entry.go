package registry

import (
	"fmt"

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
	Invalid          bool   // proven badly encoded; kept for readers until the tombstone takes over
	Leases           []Lease
}

// Lease is one owner's paid claim, for the epochs Start to End-1.
type Lease struct {
	_         struct{} `cbor:",toarray"`
	Owner     token.Address
	Payer     token.Address // who gets a refund
	Start     uint64
	End       uint64
	Price     token.Amount // paid for each epoch
	Permanent bool         // no delete, no refund
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

// Live says that somebody has a claim in epoch.
func (e Entry) Live(epoch uint64) bool { return !e.Invalid && e.End() > epoch }

// LapsesAt is when a registration that was not certified lapses: a certificate of
// its epoch e counts until the middle of e+1.
func (e Entry) LapsesAt() Half { return Half(2*(e.RegisteredEpoch+1) + 1) }

// Due is when the entry must be looked at next: a lease ends or the registration lapses.
func (e Entry) Due() Half {
	due := Half(2 * e.End())
	for _, l := range e.Leases {
		due = min(due, Half(2*l.End))
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

// Total is what a lease cost.
func (l Lease) Total() token.Amount { return must(l.Price.Mul(l.End - l.Start)) }

// Unused is what a lease has paid for the epochs from one on.
func (l Lease) Unused(from uint64) token.Amount {
	if from = max(from, l.Start); from >= l.End {
		return 0
	}
	return must(l.Price.Mul(l.End - from))
}

// Price is what an epoch of units costs.
func (p Params) PriceOf(units uint64) (token.Amount, error) {
	a, err := p.Price.Mul(units)
	if err != nil {
		return 0, fmt.Errorf("price of %d KiB: %w", units, err)
	}
	return a, nil
}

// Fee is what is kept of a refund.
func (p Params) Fee(refund token.Amount) token.Amount {
	return must(refund.MulDivUp(p.RefundFeeBps, 10000))
}

// Reason says how a blob ended.
type Reason uint8

// The ways a blob ends.
const (
	Expired Reason = 1 // its last lease ran out
	Lapsed  Reason = 2 // it was never certified
	Deleted Reason = 3 // its owners deleted it
	Invalid Reason = 4 // it was proven badly encoded
)

// String is one word.
func (r Reason) String() string {
	switch r {
	case Expired:
		return "expired"
	case Lapsed:
		return "lapsed"
	case Deleted:
		return "deleted"
	case Invalid:
		return "invalid"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Tombstone states that a blob has ended. Only on its word do bytes go.
type Tombstone struct {
	_        struct{} `cbor:",toarray"`
	Reason   Reason
	Ended    uint64 // epoch
	Free     uint64 // the first epoch in which the bytes may go
	Units    uint64
	Reserved bool // its room is still set aside, until Free
}

// Bury is the tombstone of an entry that ends in epoch.
func Bury(e Entry, why Reason, epoch uint64) Tombstone {
	return Tombstone{Reason: why, Ended: epoch, Free: FreeFrom(why, epoch), Units: e.Units, Reserved: true}
}

// FreeFrom is the first epoch in which the bytes of a blob that ended in epoch may
// go: after the end of the following one. A lease that ran out had ended with the
// epoch before the one that notes it.
func FreeFrom(why Reason, epoch uint64) uint64 {
	if why == Expired {
		return epoch + 1
	}
	return epoch + 2
}

// MayGo says whether a node may drop the bytes in epoch.
func (t Tombstone) MayGo(epoch uint64) bool { return epoch >= t.Free }

// Due is when the tombstone must be looked at next: to give its room back, or to
// be forgotten. An invalid blob is refused for good.
func (t Tombstone) Due(p Params) (Half, bool) {
	if t.Reserved {
		return Half(2 * t.Free), true
	}
	return Half(2 * (t.Free + p.TombstoneEpochs)), t.Reason != Invalid
}

// PinnedUntil is the last epoch through which a confirmation binds its signer to
// keep the bytes, whatever becomes of the lease.
func PinnedUntil(confirmed uint64) uint64 { return confirmed + 1 }

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("registry: invariant broken: %v", err))
	}
	return v
}
