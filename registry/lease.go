package registry

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Lease is one owner's paid claim, for the epochs Start to End-1. Any account may pay one
// for an owner; only those that the owner pays are in the way of a registration of the
// owner's, and none hands its terms on to a lease of another payer.
//
// Invariant: of the leases that an owner pays, only the last may have a Renewal.
type Lease struct {
	_         struct{} `cbor:",toarray"`
	Owner     token.Address
	Payer     token.Address // gets a refund
	Start     unit.Epoch
	End       unit.Epoch
	Price     token.Amount // paid for each epoch
	Write     token.Amount // paid for writing; 0 once the blob is certified and it is spent
	Permanent bool         // no delete, no refund
	Renewal   Renewal
}

// Renewal is an allowance from which a lease is extended, an epoch at a time, while
// the price is one that it accepts. The zero value renews nothing.
type Renewal struct {
	_       struct{}      `cbor:",toarray"`
	Payer   token.Address // gets back what is left
	Left    token.Amount
	Highest token.Amount // price of a stored KiB and epoch that it accepts
}

// Renews says that something is left to renew the lease with.
func (l Lease) Renews() bool { return l.Renewal.Left > 0 }

// RenewsAt is from when on the lease is renewed: the second half of its last epoch.
func (l Lease) RenewsAt() Half { return Half(2*l.End - 1) }

// Total is what a lease cost for its epochs, without the write price.
func (l Lease) Total() token.Amount { return must(l.Price.Mul(l.End.Since(l.Start))) }

// Escrow is what of a lease waits until the blob is certified: all but its renewal.
func (l Lease) Escrow() token.Amount { return must(l.Total().Add(l.Write)) }

// Unused is what a lease has paid for the epochs from one on.
func (l Lease) Unused(from unit.Epoch) token.Amount {
	if from = max(from, l.Start); from >= l.End {
		return 0
	}
	return must(l.Price.Mul(l.End.Since(from)))
}

// RenewableEpochs is for how many epochs more the renewal of a lease on units lasts if
// the price stays as it is in p.
func (l Lease) RenewableEpochs(p Params, units unit.KiB) uint64 {
	price, err := p.PriceOf(units)
	if err != nil || !l.Renews() || p.Price > l.Renewal.Highest {
		return 0
	}
	return uint64(l.Renewal.Left) / max(1, uint64(price))
}

// PriceOf is what an epoch of units costs. It fails where that is more than any supply.
func (p Params) PriceOf(units unit.KiB) (token.Amount, error) {
	a, err := p.Price.Mul(uint64(units))
	if err != nil {
		return 0, fmt.Errorf("price of %d KiB: %w", units, err)
	}
	return a, nil
}

// WritePriceOf is what is paid once for writing units.
func (p Params) WritePriceOf(units unit.KiB) (token.Amount, error) {
	a, err := p.WritePrice.Mul(uint64(units))
	if err != nil {
		return 0, fmt.Errorf("write price of %d KiB: %w", units, err)
	}
	return a, nil
}

// Cost is what a lease costs, each part for itself: they come back at different times.
type Cost struct {
	Lease token.Amount // for all its epochs
	Write token.Amount // once; nothing where the blob is certified already
}

// Total is all of it.
func (c Cost) Total() (token.Amount, error) { return c.Lease.Add(c.Write) }

// CostOf is what a lease on units costs for some epochs.
func (p Params) CostOf(units unit.KiB, epochs uint64, certified bool) (c Cost, err error) {
	price, err := p.PriceOf(units)
	if err != nil {
		return c, err
	}
	if c.Lease, err = price.Mul(epochs); err != nil {
		return c, fmt.Errorf("%d epochs at %s: %w", epochs, price, err)
	}
	if !certified {
		c.Write, err = p.WritePriceOf(units)
	}
	return c, err
}

// Fee is what is kept of a refund.
func (p Params) Fee(refund token.Amount) token.Amount {
	return refund.PartUp(p.RefundFeeBps)
}

// FindersFee is the part of what a badly encoded blob loses that is for its finder.
func (p Params) FindersFee(lost token.Amount) token.Amount {
	return lost.Part(p.FinderBps)
}
