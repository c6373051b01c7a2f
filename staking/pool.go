package staking

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/token"
)

// Sentinels of this package.
var (
	ErrTooLittle = errors.New("amount is below the least allowed")
	ErrTooMuch   = errors.New("more than there is")
)

// Shares count a delegator's part of a pool.
type Shares uint64

// Pool is the stake behind one node.
//
// Deposits and withdrawals are worked out once an epoch, at one rate for all who
// wait, so that nobody gains by the order of transactions; each delegator's part
// follows later from the Rate of that epoch.
//
// Invariant: what delegators could draw never exceeds Balance + Joining + Owed,
// because every part is rounded down.
type Pool struct {
	_             struct{}     `cbor:",toarray"`
	Bond          token.Amount // the operator's own, without what is leaving
	BondLeaving   []BondExit
	Balance       token.Amount // what Shares stand for
	Shares        Shares       // some belong to nobody: see NewPool
	Joining       token.Amount // deposits that become shares at the next turn
	Leaving       []ShareExit  // shares that become money; still in Shares until then
	Owed          token.Amount // money of shares that have left, not yet drawn
	Earned        token.Amount // the operator's, to draw at any time
	CommissionBps uint64
}

// BondExit is bond on its way out.
type BondExit struct {
	_      struct{} `cbor:",toarray"`
	Amount token.Amount
	Epoch  uint64 // from which it can be drawn
}

// ShareExit is the sum of the shares that leave at one epoch.
type ShareExit struct {
	_      struct{} `cbor:",toarray"`
	Shares Shares
	Epoch  uint64 // at whose start they become money
}

// Rate is what shares stood for at the turn into an epoch.
type Rate struct {
	_       struct{} `cbor:",toarray"`
	Balance token.Amount
	Shares  Shares
}

// NewPool is the pool of a new node. Out of bond, dead goes into shares that belong
// to nobody, so that the price of a share cannot be driven up from nothing.
func NewPool(bond, dead token.Amount, commissionBps uint64) (Pool, error) {
	rest, err := bond.Sub(dead)
	if err != nil {
		return Pool{}, fmt.Errorf("bond %s: a new node needs at least %s: %w", bond, dead, ErrTooLittle)
	}
	return Pool{Bond: rest, Balance: dead, Shares: Shares(dead), CommissionBps: commissionBps}, nil
}

// Total is all money in the pool.
func (p Pool) Total() token.Amount {
	sum := mustAdd(mustAdd(p.Bond, p.Balance), mustAdd(mustAdd(p.Joining, p.Owed), p.Earned))
	for _, x := range p.BondLeaving {
		sum = mustAdd(sum, x.Amount)
	}
	return sum
}

// Stake is what counts for the committee: bond and delegations, without what leaves.
func (p Pool) Stake() token.Amount {
	staying := p.Shares
	for _, x := range p.Leaving {
		staying -= x.Shares
	}
	return mustAdd(mustAdd(p.Bond, p.Joining), Rate{Balance: p.Balance, Shares: p.Shares}.Worth(staying))
}

// Worth is the money that s shares stand for, rounded down.
func (r Rate) Worth(s Shares) token.Amount {
	if r.Shares == 0 {
		return 0
	}
	return must(r.Balance.MulDiv(uint64(min(s, r.Shares)), uint64(r.Shares)))
}

// Buys is the shares that an amount buys, rounded down. Once a slash has taken
// everything, a share costs one FROST again.
func (r Rate) Buys(a token.Amount) Shares {
	if r.Balance == 0 || r.Shares == 0 {
		return Shares(a)
	}
	s, err := a.MulDiv(uint64(r.Shares), uint64(r.Balance))
	if err != nil {
		return 0 // shares are worth so little that their number would not fit
	}
	return Shares(s)
}

// AddBond adds to the operator's own stake.
func (p *Pool) AddBond(a token.Amount) { p.Bond = mustAdd(p.Bond, a) }

// Unbond sends bond on its way out; it can be drawn from epoch on.
func (p *Pool) Unbond(a token.Amount, epoch uint64) error {
	rest, err := p.Bond.Sub(a)
	if err != nil || a == 0 {
		return fmt.Errorf("unbond %s of %s: %w", a, p.Bond, ErrTooMuch)
	}
	p.Bond = rest
	if n := len(p.BondLeaving); n > 0 && p.BondLeaving[n-1].Epoch == epoch {
		p.BondLeaving[n-1].Amount = mustAdd(p.BondLeaving[n-1].Amount, a)
		return nil
	}
	p.BondLeaving = append(p.BondLeaving, BondExit{Amount: a, Epoch: epoch})
	return nil
}

// DrawBond takes out the bond whose time has come.
func (p *Pool) DrawBond(epoch uint64) (sum token.Amount) {
	var rest []BondExit
	for _, x := range p.BondLeaving {
		if x.Epoch <= epoch {
			sum = mustAdd(sum, x.Amount)
		} else {
			rest = append(rest, x)
		}
	}
	p.BondLeaving = rest
	return sum
}

// DrawEarned takes out what the operator earned.
func (p *Pool) DrawEarned() token.Amount {
	sum := p.Earned
	p.Earned = 0
	return sum
}

// Reward shares what the node earned: the commission to the operator, the rest by
// what bond and delegations weigh. The bond's part and all dust are the operator's.
func (p *Pool) Reward(r token.Amount) {
	commission := must(r.MulDiv(min(p.CommissionBps, 10000), 10000))
	rest := r - commission
	weight := mustAdd(p.Bond, p.Balance)
	delegated := token.Amount(0)
	if weight > 0 && p.Shares > 0 {
		delegated = must(rest.MulDiv(uint64(p.Balance), uint64(weight)))
	}
	p.Balance = mustAdd(p.Balance, delegated)
	p.Earned = mustAdd(p.Earned, r-delegated)
}

// Turn is the turn into an epoch: what leaves becomes money, what joins becomes
// shares, both at the one rate that it returns. Nothing waits: changed is false.
func (p *Pool) Turn(epoch uint64) (rate Rate, changed bool) {
	rate = Rate{Balance: p.Balance, Shares: p.Shares}
	var rest []ShareExit
	for _, x := range p.Leaving {
		if x.Epoch > epoch {
			rest = append(rest, x)
			continue
		}
		out := rate.Worth(x.Shares)
		p.Shares -= x.Shares
		p.Balance -= out
		p.Owed = mustAdd(p.Owed, out)
		changed = true
	}
	p.Leaving = rest
	if p.Joining > 0 {
		in := rate.Buys(p.Joining)
		p.Shares += in
		p.Balance = mustAdd(p.Balance, p.Joining)
		p.Joining = 0
		changed = true
	}
	return rate, changed
}

func mustAdd(a, b token.Amount) token.Amount { return must(a.Add(b)) }

// must is for sums that the supply bounds: if one overflows, money was made.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("staking: invariant broken: %v", err))
	}
	return v
}
