package staking

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
)

// Delegation is one account's part of a pool.
type Delegation struct {
	_       struct{} `cbor:",toarray"`
	Shares  Shares   // in the pool
	Joining []Deposit
	Leaving []ShareExit // taken out of Shares already
}

// Deposit waits to become shares.
type Deposit struct {
	_      struct{} `cbor:",toarray"`
	Amount token.Amount
	Epoch  uint64 // at whose start it becomes shares
}

// IsEmpty says that nothing is left.
func (d Delegation) IsEmpty() bool {
	return d.Shares == 0 && len(d.Joining) == 0 && len(d.Leaving) == 0
}

// Delegate adds a deposit in epoch now.
func (p *Pool) Delegate(d *Delegation, a token.Amount, now uint64, params Params) error {
	if a < params.MinDelegation {
		return fmt.Errorf("delegate %s: at least %s: %w", a, params.MinDelegation, ErrTooLittle)
	}
	if (Rate{Balance: p.Balance, Shares: p.Shares}).Buys(a) == 0 {
		return fmt.Errorf("delegate %s: buys no share: %w", a, ErrTooLittle)
	}
	p.Joining = mustAdd(p.Joining, a)
	if n := len(d.Joining); n > 0 && d.Joining[n-1].Epoch == now+1 {
		d.Joining[n-1].Amount = mustAdd(d.Joining[n-1].Amount, a)
		return nil
	}
	d.Joining = append(d.Joining, Deposit{Amount: a, Epoch: now + 1})
	return nil
}

// Undelegate sends shares on their way out. They become money at the start of
// epoch counted + UnbondingEpochs + 1, and share in what happens to the pool until
// then; counted is the last epoch whose committee they were counted for.
func (p *Pool) Undelegate(d *Delegation, s Shares, counted uint64, params Params) error {
	if s == 0 || s > d.Shares {
		return fmt.Errorf("undelegate %d of %d shares: %w", s, d.Shares, ErrTooMuch)
	}
	epoch := counted + params.UnbondingEpochs + 1
	d.Shares -= s
	d.Leaving = addExit(d.Leaving, s, epoch)
	p.Leaving = addExit(p.Leaving, s, epoch)
	return nil
}

func addExit(list []ShareExit, s Shares, epoch uint64) []ShareExit {
	if n := len(list); n > 0 && list[n-1].Epoch == epoch {
		list[n-1].Shares += s
		return list
	}
	return append(list, ShareExit{Shares: s, Epoch: epoch})
}

// Settle turns what has come due by epoch now into shares and money, at the rates
// of the turns it waited for. The money leaves the pool.
func (p *Pool) Settle(d *Delegation, now uint64, rate func(epoch uint64) Rate) (out token.Amount) {
	var joining []Deposit
	for _, j := range d.Joining {
		if j.Epoch > now {
			joining = append(joining, j)
			continue
		}
		d.Shares += rate(j.Epoch).Buys(j.Amount)
	}
	d.Joining = joining
	var leaving []ShareExit
	for _, x := range d.Leaving {
		if x.Epoch > now {
			leaving = append(leaving, x)
			continue
		}
		out = mustAdd(out, rate(x.Epoch).Worth(x.Shares))
	}
	d.Leaving = leaving
	p.Owed = must(p.Owed.Sub(out))
	return out
}
