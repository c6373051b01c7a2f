package staking

import (
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Sentinels of this package.
var (
	ErrTooLittle = errors.New("amount is below the least allowed")
	ErrTooMuch   = errors.New("more than there is")
	ErrRuined    = errors.New("a slash has taken all that the pool's shares stood for")
)

// Shares count a delegator's part of a pool.
type Shares uint64

// Pool is the stake behind one node.
//
// Deposits and withdrawals are worked out once an epoch, at one rate for all that
// wait, so that no delegator gains by the order of transactions; each delegator's part
// follows later from the Rate of that epoch.
//
// Invariant: what delegators could draw never exceeds Balance + Joining + Owed,
// because every part is rounded down. What may still be slashed is Bond, BondLeaving
// and Balance.
type Pool struct {
	_              struct{}     `cbor:",toarray"`
	Bond           token.Amount // the operator's own, without what is leaving
	BondLeaving    []Deposit    // still slashable, until the epoch in which it is the operator's
	Balance        token.Amount // what Shares stand for
	Shares         Shares       // some are dead: see NewPool
	Dead           token.Amount // of the first bond: what these stood for at first
	Joining        []Deposit    // of all delegators, by the epoch at whose start they become shares
	Leaving        []ShareExit  // shares that become money; still in Shares until then
	Owed           token.Amount // delegators' money that is no stake any more, not yet drawn
	Earned         token.Amount // the operator's, to draw at any time
	Held           HeldPay      // pay that is held back
	CommissionBps  unit.Bps
	NextCommission []Commission // that act later, by epoch
}

// Deposit is money that is waiting for an epoch.
type Deposit struct {
	_      struct{} `cbor:",toarray"`
	Amount token.Amount
	Epoch  unit.Epoch
}

// ShareExit is shares that leave at an epoch.
type ShareExit struct {
	_      struct{} `cbor:",toarray"`
	Shares Shares
	Epoch  unit.Epoch // at whose start they become money, at the earliest
}

// NewPool is the pool of a new node. Out of bond, dead goes into shares without
// an owner, so that the price of a share cannot be driven up from nothing.
func NewPool(bond, dead token.Amount, commissionBps unit.Bps) (Pool, error) {
	rest, err := bond.Sub(dead)
	if err != nil {
		return Pool{}, fmt.Errorf("bond %s: a new node needs at least %s: %w", bond, dead, ErrTooLittle)
	}
	return Pool{Bond: rest, Balance: dead, Shares: Shares(dead), Dead: dead, CommissionBps: commissionBps}, nil
}

// Total is all money in the pool.
func (p Pool) Total() token.Amount {
	sum := mustAdd(mustAdd(p.Bond, p.Balance), mustAdd(p.Owed, p.Earned))
	sum = mustAdd(mustAdd(sum, sumOf(p.BondLeaving)), sumOf(p.Joining))
	return mustAdd(sum, p.Held.Total())
}

// OwnBond is all of the operator's own stake that can be slashed.
func (p Pool) OwnBond() token.Amount { return mustAdd(p.Bond, sumOf(p.BondLeaving)) }

// AtRisk is what a slash is a part of.
func (p Pool) AtRisk() token.Amount { return mustAdd(p.OwnBond(), p.Balance) }

// Stake is what stands behind the node in an epoch's committee: bond and delegations,
// with what joins by then and without what leaves.
func (p Pool) Stake(epoch unit.Epoch) token.Amount {
	staying := p.Shares
	for _, x := range p.Leaving {
		staying -= x.Shares
	}
	sum := mustAdd(p.Bond, p.Rate().Worth(staying))
	for _, j := range p.Joining {
		if j.Epoch <= epoch {
			sum = mustAdd(sum, j.Amount)
		}
	}
	return sum
}

// Counted is the stake that counts when shards are given for an epoch: delegations beyond
// what the bond backs do not. A node is not left out for having too many of them, or a
// stranger could push it out by delegating to it.
func (p Pool) Counted(epoch unit.Epoch, params Params) token.Amount {
	stake := p.Stake(epoch)
	backed, err := p.Bond.MulDiv(unit.Whole, uint64(params.BondBps))
	if err != nil {
		return stake
	}
	return min(stake, backed)
}

// AddBond adds to the operator's own stake.
func (p *Pool) AddBond(a token.Amount) error {
	sum, err := p.Bond.Add(a)
	if err != nil {
		return fmt.Errorf("bond %s more than %s: %w", a, p.Bond, err)
	}
	p.Bond = sum
	return nil
}

// Unbond sends bond on its way out. Counted is the last epoch whose committee it was
// counted for: it stays slashable for UnbondingEpochs more.
func (p *Pool) Unbond(a token.Amount, counted unit.Epoch, params Params) error {
	rest, err := p.Bond.Sub(a)
	if err != nil || a == 0 {
		return fmt.Errorf("unbond %s of %s: %w", a, p.Bond, ErrTooMuch)
	}
	leaving, err := addDeposit(p.BondLeaving, a, counted.Plus(params.UnbondingEpochs)+1)
	if err != nil {
		return fmt.Errorf("unbond %s: %w", a, err)
	}
	p.Bond, p.BondLeaving = rest, leaving
	return nil
}

// DrawEarned takes out what the operator earned.
func (p *Pool) DrawEarned() token.Amount {
	sum := p.Earned
	p.Earned = 0
	return sum
}

// Payment is how a reward was shared in a pool.
type Payment struct {
	_          struct{}     `cbor:",toarray"`
	Commission token.Amount // to the operator
	Bond       token.Amount // to the operator, for the bond; with all dust
	Delegators token.Amount // to the balance
}

// Reward shares what the node was paid: the commission to the operator, the rest by
// what bond and delegations weigh.
func (p *Pool) Reward(r token.Amount) (out Payment) {
	out.Commission = r.Part(p.CommissionBps)
	rest := r - out.Commission
	if p.Balance > 0 && p.Shares > 0 {
		out.Delegators = must(rest.MulDiv(uint64(p.Balance), uint64(p.AtRisk())))
	}
	out.Bond = rest - out.Delegators
	p.Balance = mustAdd(p.Balance, out.Delegators)
	p.Earned = mustAdd(p.Earned, out.Commission+out.Bond)
	return out
}

// Cut is what a slash took.
type Cut struct {
	_       struct{} `cbor:",toarray"`
	Bond    token.Amount
	Balance token.Amount
}

// Total is all of it.
func (c Cut) Total() token.Amount { return mustAdd(c.Bond, c.Balance) }

// Slash takes a part of what is at risk, rounded up: the bond first, that which is
// leaving included, then the balance, from all shares alike.
func (p *Pool) Slash(bps unit.Bps) (cut Cut) {
	left := p.AtRisk().PartUp(bps)
	take := func(from *token.Amount) token.Amount {
		part := min(left, *from)
		*from -= part
		left -= part
		return part
	}
	cut.Bond = take(&p.Bond)
	for i := range p.BondLeaving {
		cut.Bond = mustAdd(cut.Bond, take(&p.BondLeaving[i].Amount))
	}
	cut.Balance = take(&p.Balance)
	return cut
}

// PoolTurn is what the turn into an epoch made of the deposits and withdrawals that waited.
type PoolTurn struct {
	Rate    Rate        // at which In became shares and Out money
	In      []Deposit   // by the epoch they waited for
	Out     []ShareExit // by the epoch for which they were due
	Changed bool        // the pool is not what it was
}

// Turn is the turn into an epoch: what leaves becomes money, unless locked says that
// the node still keeps what others rely on, and what joins becomes shares, both at
// the one rate of before.
func (p *Pool) Turn(epoch unit.Epoch, locked, bondLocked bool) (t PoolTurn) {
	t.Rate = p.Rate()
	if !locked {
		t.Out = p.letOut(epoch, t.Rate)
	}
	if !bondLocked {
		rest, out := due(p.BondLeaving, epoch)
		t.Changed = len(out) > 0
		p.BondLeaving, p.Earned = rest, mustAdd(p.Earned, sumOf(out))
	}
	if p.Joining, t.In = due(p.Joining, epoch); len(t.In) > 0 {
		t.Rate.Returned = !p.letIn(sumOf(t.In), t.Rate)
	}
	commission := p.turnCommission(epoch)
	t.Changed = t.Changed || commission || len(t.In) > 0 || len(t.Out) > 0
	return t
}

func (p *Pool) letOut(epoch unit.Epoch, rate Rate) (gone []ShareExit) {
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
		gone = append(gone, x)
	}
	p.Leaving = rest
	return gone
}

// letIn makes shares of deposits. Where the shares that are there stand for nothing,
// newcomers would pay for them: they get their money back instead.
func (p *Pool) letIn(in token.Amount, rate Rate) bool {
	shares, err := rate.Buys(in)
	if sum := p.Shares + shares; err != nil || sum < p.Shares {
		p.Owed = mustAdd(p.Owed, in)
		return false
	}
	p.Shares += shares
	p.Balance = mustAdd(p.Balance, in)
	return true
}

// due parts a list into what waits on and what has come due by epoch.
func due(list []Deposit, epoch unit.Epoch) (rest, ready []Deposit) {
	for _, x := range list {
		if x.Epoch > epoch {
			rest = append(rest, x)
		} else {
			ready = append(ready, x)
		}
	}
	return rest, ready
}

// addDeposit is a list with a more for an epoch; it leaves list as it is.
func addDeposit(list []Deposit, a token.Amount, epoch unit.Epoch) ([]Deposit, error) {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Epoch == epoch {
			sum, err := out[i].Amount.Add(a)
			out[i].Amount = sum
			return out, err
		}
	}
	return append(out, Deposit{Amount: a, Epoch: epoch}), nil
}

func sumOf(list []Deposit) (sum token.Amount) {
	for _, x := range list {
		sum = mustAdd(sum, x.Amount)
	}
	return sum
}

func mustAdd(a, b token.Amount) token.Amount { return must(a.Add(b)) }

// must is for sums that the supply bounds: if one overflows, money was made.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("staking: invariant broken: %v", err))
	}
	return v
}
