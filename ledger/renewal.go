package ledger

import (
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// SetRenewal leaves an allowance with one's own lease on a blob, from which the ledger
// extends it by an epoch whenever its last one is half over, until the price is too high
// or the allowance too small. It replaces the renewal that is there: what that had left
// goes back to its payer.
type SetRenewal struct {
	_            struct{} `cbor:",toarray"`
	Blob         blob.ID
	Allowance    token.Amount // 0: stop renewing
	HighestPrice token.Amount // of a stored KiB and epoch that is accepted
}

func (SetRenewal) kind() Kind { return KindSetRenewal }

func (b SetRenewal) check(Params) error { return checkAllowance(b.Allowance, b.HighestPrice) }

func (b SetRenewal) spends() token.Amount { return b.Allowance }

func (b SetRenewal) plan(x *exec, tx Tx) (plan, error) {
	e, live := x.live(b.Blob)
	if !live {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrUnknownBlob)
	}
	owner := tx.Signer.Address()
	if _, ok := e.OwnedBy(owner, x.epoch()); !ok {
		return plan{}, fmt.Errorf("%s: %w", b.Blob, ErrNotOwner)
	}
	i, _ := e.Last(owner)
	return plan{cost: b.Allowance, apply: func() {
		x.settle(b.Blob)
		e.Leases = slices.Clone(e.Leases)
		last := &e.Leases[i]
		x.release(last.Renewal)
		last.Renewal = renewalOf(owner, b.Allowance, b.HighestPrice)
		x.allow(last.Renewal)
		x.putEntry(b.Blob, e)
		x.settle(b.Blob) // it may be due at once
	}}, nil
}

// checkAllowance refuses an allowance that could never be used.
func checkAllowance(allowance, highest token.Amount) error {
	if allowance > 0 && highest == 0 {
		return fmt.Errorf("an allowance of %s that accepts no price renews nothing: name the highest price: %w", allowance, ErrMalformed)
	}
	return nil
}

func renewalOf(payer token.Address, allowance, highest token.Amount) registry.Renewal {
	if allowance == 0 {
		return registry.Renewal{}
	}
	return registry.Renewal{Payer: payer, Left: allowance, Highest: highest}
}

// allow takes what was paid for a renewal into the allowances.
func (x *exec) allow(r registry.Renewal) {
	if r.Left > 0 {
		x.supply(func(s *Supply) { s.Allowances = must(s.Allowances.Add(r.Left)) })
	}
}

// release gives what a renewal has left back to its payer.
func (x *exec) release(r registry.Renewal) {
	if r.Left > 0 {
		x.supply(func(s *Supply) { s.Allowances = must(s.Allowances.Sub(r.Left)) })
		x.credit(r.Payer, r.Left)
	}
}
