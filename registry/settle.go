package registry

// LeaseSettlement is an entry as it stands at a half, and what led there.
type LeaseSettlement struct {
	Entry  Entry   // with the leases that go on; without any it has ended
	Bought []Lease // what renewals paid for: epochs and price of each
	Over   []Lease // what ended; what is left of their renewals goes back
	Lapsed bool    // of those that are over, some end because there is no certificate
}

// Settle works out what has come due by a half: leases that renew themselves go on,
// leases that are over go, a registration that lapsed loses all. It is the same
// whether it is asked in time or later, as far as prices are the same.
func (e Entry) Settle(now Half, p Params) LeaseSettlement {
	out := LeaseSettlement{Entry: e}
	out.Entry.Leases = nil
	lapsed := !e.Certified() && now >= e.LapsesAt()
	for _, l := range e.Leases {
		leases, bought := e.renew(l, now, p)
		out.Bought = append(out.Bought, bought...)
		for _, l := range leases {
			if !lapsed && l.End > now.Epoch() {
				out.Entry.Leases = append(out.Entry.Leases, l)
				continue
			}
			out.Over = append(out.Over, l)
			out.Lapsed = out.Lapsed || !e.Certified()
		}
	}
	return out
}

// renew extends a lease, by an epoch at a time, until it need not be renewed at now or
// cannot. What has another price or payer than the lease is a lease of its own, to
// which the renewal moves. Of another payer it does not take over that it is permanent.
func (e Entry) renew(l Lease, now Half, p Params) (leases, bought []Lease) {
	epochs := e.renewals(l, now, p)
	if epochs == 0 {
		return []Lease{l}, nil
	}
	price := must(p.PriceOf(e.Units))
	next := Lease{Owner: l.Owner, Payer: l.Renewal.Payer, Start: l.End, End: l.End.Plus(epochs), Price: price, Permanent: l.Permanent && l.Payer == l.Renewal.Payer}
	left := l.Renewal
	if left.Left = must(left.Left.Sub(next.Total())); left.Left == 0 {
		left = Renewal{}
	}
	bought = []Lease{next}
	if l.Price == price && l.Payer == next.Payer {
		l.End, l.Renewal = next.End, left
		return []Lease{l}, bought
	}
	l.Renewal, next.Renewal = Renewal{}, left
	return []Lease{l, next}, bought
}

// renewals is by how many epochs a lease is renewed at now: one in the second half of its
// last epoch, more than one only if the sweep is late by as many.
func (e Entry) renewals(l Lease, now Half, p Params) uint64 {
	if !e.Certified() || e.Invalid || !l.Renews() || now < l.RenewsAt() || p.Price > l.Renewal.Highest {
		return 0
	}
	due := uint64(now-l.RenewsAt())/2 + 1
	price, err := p.PriceOf(e.Units)
	switch {
	case err != nil:
		return 0 // dearer than any allowance
	case price == 0:
		return due
	}
	return min(due, uint64(l.Renewal.Left/price))
}
