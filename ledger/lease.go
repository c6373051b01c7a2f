package ledger

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func (x *exec) entry(id blob.ID) (registry.Entry, bool) {
	e, ok, err := x.view().Blob(id)
	return e, sure(ok, err)
}

func (x *exec) tombstone(id blob.ID) (registry.Tombstone, bool) {
	t, ok, err := x.view().Tombstone(id)
	return t, sure(ok, err)
}

// live is an entry on which an owner has a claim now, as it stands once what is due was
// settled: a change settles it first. One that has ended and that no sweep has come to
// yet is as good as gone; one that renews itself has not ended, however late the sweep
// comes.
func (x *exec) live(id blob.ID) (registry.Entry, bool) {
	e, ok := x.entry(id)
	if !ok || e.Invalid {
		return registry.Entry{}, false
	}
	s := e.Settle(x.head.Half(), x.p.Registry)
	return s.Entry, len(s.Entry.Leases) > 0
}

// putEntry writes an entry and sees to it that it is looked at when it is due.
func (x *exec) putEntry(id blob.ID, e registry.Entry) {
	x.put(KeyBlob(id), e)
	x.schedule(id, e.Due())
}

func (x *exec) schedule(id blob.ID, at registry.Half) {
	x.o.Set(keyDue(max(at, x.head.Half()+1), id), nil)
}

// fund puts what a lease paid where it waits: with the registration until there is
// a certificate, then with the epochs it pays for, and the write price with that of
// the certificate. An epoch that is over cannot be
// paid any more: its part goes to the present one, in which the nodes did the work.
func (x *exec) fund(e registry.Entry, l registry.Lease) {
	if !e.Certified() {
		x.supply(func(s *Supply) { s.Escrow = must(s.Escrow.Add(l.Escrow())) })
		return
	}
	if l.Write > 0 {
		x.addBucket(x.epoch(), l.Write) // the work of writing is done
	}
	for epoch := l.Start; epoch < l.End; epoch++ {
		x.addBucket(max(epoch, x.epoch()), l.Price)
	}
}

// refund gives back what registry.Entry.Refund says, less a fee. What was never
// certified pays for the epochs in which its room stays held, like what was.
func (x *exec) refund(e registry.Entry, l registry.Lease, from unit.Epoch) {
	back := e.Refund(l, from)
	x.unbook(e, l, from)
	if !e.Certified() {
		for epoch := l.Start; epoch < min(from, l.End); epoch++ {
			x.addBucket(max(epoch, x.epoch()), l.Price)
		}
	}
	fee := x.p.Registry.Fee(back)
	x.supply(func(s *Supply) { s.Carry = must(s.Carry.Add(fee)) })
	x.credit(l.Payer, back-fee)
}

// unbook takes the money of a lease from where it waits to be earned: from the epochs that
// the lease was to pay, the first of them from, or from the escrow.
func (x *exec) unbook(e registry.Entry, l registry.Lease, from unit.Epoch) {
	if !e.Certified() {
		x.supply(func(s *Supply) { s.Escrow = must(s.Escrow.Sub(l.Escrow())) })
		return
	}
	for epoch := max(from, l.Start); epoch < l.End; epoch++ {
		x.takeBucket(epoch, l.Price)
	}
}

// keepLeases leaves an entry with the leases that remain, or buries it.
func (x *exec) keepLeases(id blob.ID, e registry.Entry, rest []registry.Lease, why registry.Reason) {
	owners := map[token.Address]bool{}
	for _, l := range rest {
		owners[l.Owner] = true
	}
	for _, l := range e.Leases {
		if !owners[l.Owner] {
			x.o.Delete(KeyOwned(l.Owner, id))
		}
	}
	if len(rest) > 0 {
		e.Leases = slices.Clone(rest)
		x.putEntry(id, e)
		return
	}
	t := registry.Bury(e, why, x.epoch(), x.head.Height)
	x.queueFree(e)
	x.o.Delete(KeyBlob(id))
	x.o.Delete(KeyLastDraw(id))
	x.dropCertificate(id)
	x.putTombstone(id, t)
}

func (x *exec) putTombstone(id blob.ID, t registry.Tombstone) {
	x.put(KeyTombstone(id), t)
	if at, ok := t.Due(x.p.Registry); ok {
		x.schedule(id, at)
	}
}

// exhume removes a tombstone because the blob is asked for again.
func (x *exec) exhume(id blob.ID) {
	if t, ok := x.tombstone(id); ok {
		x.unreserve(&t)
		x.o.Delete(KeyTombstone(id))
	}
}

func (x *exec) unreserve(t *registry.Tombstone) {
	if t.Reserved {
		t.Reserved = false
		x.usage(func(u *Usage) { u.ReservedKiB -= t.Units })
	}
}

// settle does what has come due for a blob: leases that are over go, a registration
// that lapsed is refunded, room is given back, a tombstone is forgotten.
func (x *exec) settle(id blob.ID) {
	if e, ok := x.entry(id); ok {
		x.settleEntry(id, e)
		return
	}
	t, ok := x.tombstone(id)
	if !ok {
		return
	}
	if t.Reserved && t.MayGo(x.epoch()) {
		x.unreserve(&t)
	}
	if at, ends := t.Due(x.p.Registry); ends && at <= x.head.Half() {
		x.o.Delete(KeyTombstone(id))
		return
	}
	x.putTombstone(id, t)
}

func (x *exec) settleEntry(id blob.ID, e registry.Entry) {
	s := e.Settle(x.head.Half(), x.p.Registry)
	for _, bought := range s.Bought {
		x.supply(func(s *Supply) { s.Allowances = must(s.Allowances.Sub(bought.Total())) })
		x.fund(e, bought)
	}
	for _, l := range s.Over {
		x.release(l.Renewal)
		if !e.Certified() {
			x.refund(e, l, registry.FreeFrom(registry.Lapsed, e.LapsesAt().Epoch()))
		}
	}
	why := registry.Expired
	if s.Lapsed {
		why = registry.Lapsed
	}
	x.keepLeases(id, e, s.Entry.Leases, why)
}

// room says whether units more can be promised.
func (x *exec) room(units unit.KiB) error {
	return sure(x.view().Usage()).Room(units, x.p.Shards)
}

// Room says why a network of so many shards cannot take units more, or nil. It wraps
// ErrCapacity.
func (u Usage) Room(units unit.KiB, shards int) error {
	perShard := (u.ReservedKiB + units).Share(shards)
	if units > 1<<60 || perShard > u.ShardKiB {
		return fmt.Errorf("%d KiB more make %d for each shard, at most %d: %w", units, perShard, u.ShardKiB, ErrCapacity)
	}
	return nil
}
