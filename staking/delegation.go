package staking

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Delegation is one account's part of a pool.
type Delegation struct {
	_       struct{} `cbor:",toarray"`
	Shares  Shares   // in the pool
	Joining []Deposit
	Leaving []ShareExit // taken out of Shares already
}

// IsEmpty says that nothing is left.
func (d Delegation) IsEmpty() bool {
	return d.Shares == 0 && len(d.Joining) == 0 && len(d.Leaving) == 0
}

// Delegate adds a deposit. Counted is the last epoch whose committee is fixed: the
// deposit becomes shares when the one after it begins. It is refused if it would buy
// fewer than least shares at the present rate.
func (p *Pool) Delegate(d *Delegation, a token.Amount, least Shares, counted unit.Epoch, params Params) error {
	if a < params.MinDelegation {
		return fmt.Errorf("delegate %s: at least %s: %w", a, params.MinDelegation, ErrTooLittle)
	}
	shares, err := p.Rate().Buys(a)
	if err != nil {
		return fmt.Errorf("delegate %s: %w", a, err)
	}
	if shares == 0 || shares < least {
		return fmt.Errorf("delegate %s: it buys %d shares at the present rate, at least %d are asked for: %w", a, shares, max(least, 1), ErrTooLittle)
	}
	all, err := addDeposit(p.Joining, a, counted+1)
	if err != nil {
		return fmt.Errorf("delegate %s: %w", a, err)
	}
	own, err := addDeposit(d.Joining, a, counted+1)
	if err != nil {
		return fmt.Errorf("delegate %s: %w", a, err)
	}
	p.Joining, d.Joining = all, own
	return nil
}

// Undelegate sends shares on their way out. Counted is the last epoch whose committee
// they were counted for. They become money at the start of epoch counted +
// UnbondingEpochs + 1 or later, and share in what happens to the pool until then.
func (p *Pool) Undelegate(d *Delegation, s Shares, counted unit.Epoch, params Params) error {
	if s == 0 || s > d.Shares {
		return fmt.Errorf("undelegate %d of %d shares: %w", s, d.Shares, ErrTooMuch)
	}
	epoch := counted.Plus(params.UnbondingEpochs) + 1
	d.Shares -= s
	d.Leaving = addExit(d.Leaving, s, epoch)
	p.Leaving = addExit(p.Leaving, s, epoch)
	return nil
}

func addExit(list []ShareExit, s Shares, epoch unit.Epoch) []ShareExit {
	for i := range list {
		if list[i].Epoch == epoch {
			list[i].Shares += s
			return list
		}
	}
	return append(list, ShareExit{Shares: s, Epoch: epoch})
}

// Rates answers at which rate a pool let in what had been due for an epoch, and let
// out; ok is false while it has not.
type Rates interface {
	Joined(epoch unit.Epoch) (Rate, bool)
	Left(epoch unit.Epoch) (Rate, bool)
}

// PoolSettlement is what a delegation has of what its pool let in and out.
type PoolSettlement struct {
	Out  token.Amount // money that has left the pool
	In   []Deposit    // that became shares, or came back with Out
	Gone []ShareExit  // that became money
}

// Settle turns what a pool has let in and out into shares and money, at the rates at
// which it did.
func (p *Pool) Settle(d *Delegation, rates Rates) (s PoolSettlement) {
	var joining []Deposit
	for _, j := range d.Joining {
		rate, done := rates.Joined(j.Epoch)
		if !done {
			joining = append(joining, j)
			continue
		}
		s.In = append(s.In, j)
		if rate.Returned {
			s.Out = mustAdd(s.Out, j.Amount)
		} else {
			d.Shares += must(rate.Buys(j.Amount))
		}
	}
	var leaving []ShareExit
	for _, x := range d.Leaving {
		rate, done := rates.Left(x.Epoch)
		if !done {
			leaving = append(leaving, x)
			continue
		}
		s.Gone = append(s.Gone, x)
		s.Out = mustAdd(s.Out, rate.Worth(x.Shares))
	}
	d.Joining, d.Leaving = joining, leaving
	p.Owed = must(p.Owed.Sub(s.Out))
	return s
}
