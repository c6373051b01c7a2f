package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Bond adds to the stake of one's own node.
type Bond struct {
	_      struct{} `cbor:",toarray"`
	Node   staking.NodeID
	Amount token.Amount
}

func (Bond) kind() Kind { return KindBond }

func (b Bond) check(Params) error { return someMoney(b.Amount) }

func (b Bond) spends() token.Amount { return b.Amount }

func (b Bond) plan(x *exec, tx Tx) (plan, error) {
	if _, err := x.operated(b.Node, tx); err != nil {
		return plan{}, err
	}
	p := x.pool(b.Node)
	if err := p.AddBond(b.Amount); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	return plan{cost: b.Amount, apply: func() { x.put(KeyPool(b.Node), p) }}, nil
}

// Unbond asks for stake of one's own node back.
type Unbond struct {
	_      struct{} `cbor:",toarray"`
	Node   staking.NodeID
	Amount token.Amount
}

func (Unbond) kind() Kind { return KindUnbond }

func (b Unbond) check(Params) error { return someMoney(b.Amount) }

func (b Unbond) plan(x *exec, tx Tx) (plan, error) {
	if _, err := x.operated(b.Node, tx); err != nil {
		return plan{}, err
	}
	p := x.pool(b.Node)
	if err := p.Unbond(b.Amount, x.counted(), x.p.Staking); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	return plan{apply: func() { x.put(KeyPool(b.Node), p) }}, nil
}

// Delegate puts money behind a node. It becomes shares at the start of the first epoch
// whose committee it can still count for.
type Delegate struct {
	_      struct{} `cbor:",toarray"`
	Node   staking.NodeID
	Amount token.Amount
	Least  staking.Shares // refused if it would buy fewer at the present rate; 0: any number
}

func (Delegate) kind() Kind { return KindDelegate }

func (b Delegate) check(Params) error { return someMoney(b.Amount) }

func (b Delegate) spends() token.Amount { return b.Amount }

func (b Delegate) plan(x *exec, tx Tx) (plan, error) {
	n, err := x.node(b.Node)
	if err != nil {
		return plan{}, err
	}
	if n.Out {
		return plan{}, fmt.Errorf("%s: %w", b.Node, ErrOut)
	}
	s := x.stakeOf(tx.Signer.Address(), b.Node)
	if err := s.pool.Delegate(&s.part, b.Amount, b.Least, x.counted(), x.p.Staking); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	return plan{cost: b.Amount, apply: func() { x.putStake(s) }}, nil
}

// Undelegate asks for shares' money back. Withdraw draws it when its time has come.
type Undelegate struct {
	_      struct{} `cbor:",toarray"`
	Node   staking.NodeID
	Shares staking.Shares
}

func (Undelegate) kind() Kind { return KindUndelegate }

func (b Undelegate) check(Params) error { return nil }

func (b Undelegate) plan(x *exec, tx Tx) (plan, error) {
	if _, err := x.node(b.Node); err != nil {
		return plan{}, err
	}
	s := x.stakeOf(tx.Signer.Address(), b.Node)
	if err := s.pool.Undelegate(&s.part, b.Shares, x.counted(), x.p.Staking); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	return plan{apply: func() { x.putStake(s) }}, nil
}

// Withdraw draws what the signer can have of a node: undelegated money whose time has
// come. Shares that a slash has made worthless leave with no money: the delegation is
// gone then as any other. Where the signer is the node's operator or its payout address, what the node
// has earned, and bond whose time has come, goes to the payout address.
type Withdraw struct {
	_    struct{} `cbor:",toarray"`
	Node staking.NodeID
}

func (Withdraw) kind() Kind { return KindWithdraw }

func (b Withdraw) check(Params) error { return nil }

func (b Withdraw) plan(x *exec, tx Tx) (plan, error) {
	n, err := x.node(b.Node)
	if err != nil {
		return plan{}, err
	}
	signer := tx.Signer.Address()
	s := x.stakeOf(signer, b.Node)
	earned := token.Amount(0)
	if signer == n.Operator || signer == n.Payout {
		earned = s.pool.DrawEarned()
	}
	if s.Out == 0 && earned == 0 && len(s.Gone) == 0 {
		return plan{}, fmt.Errorf("%s: %w", b.Node, ErrNothing)
	}
	return plan{apply: func() {
		x.putStake(s)
		x.credit(n.Payout, earned)
	}}, nil
}

// stake is one account's part of a pool, settled up to now.
type stake struct {
	owner token.Address
	node  staking.NodeID
	pool  staking.Pool
	part  staking.Delegation
	staking.PoolSettlement
}

func (x *exec) stakeOf(owner token.Address, node staking.NodeID) stake {
	s := stake{owner: owner, node: node, pool: x.pool(node)}
	var err error
	s.part, _, err = x.view().Delegation(owner, node)
	sure(s.part, err)
	s.PoolSettlement, err = x.view().Settle(node, &s.pool, &s.part)
	sure(s.PoolSettlement, err)
	return s
}

// Settle works out what a delegation has of what its pool let in and out so far.
func (v View) Settle(node staking.NodeID, p *staking.Pool, d *staking.Delegation) (staking.PoolSettlement, error) {
	r := &rates{v: v, node: node}
	out := p.Settle(d, r)
	return out, r.err
}

// rates reads the rates of a pool; the first error is kept.
type rates struct {
	v    View
	node staking.NodeID
	err  error
}

func (r *rates) Joined(epoch unit.Epoch) (staking.Rate, bool) {
	return r.keep(r.v.Joined(r.node, epoch))
}

func (r *rates) Left(epoch unit.Epoch) (staking.Rate, bool) { return r.keep(r.v.Left(r.node, epoch)) }

func (r *rates) keep(rate OpenRate, ok bool, err error) (staking.Rate, bool) {
	if r.err == nil {
		r.err = err
	}
	return rate.Rate, ok
}

func (x *exec) putStake(s stake) {
	x.put(KeyPool(s.node), s.pool)
	if s.part.IsEmpty() {
		x.o.Delete(KeyDelegation(s.owner, s.node))
	} else {
		x.put(KeyDelegation(s.owner, s.node), s.part)
	}
	for _, in := range s.In {
		x.claim(KeyJoined(s.node, in.Epoch), uint64(in.Amount))
	}
	for _, gone := range s.Gone {
		x.claim(KeyLeft(s.node, gone.Epoch), uint64(gone.Shares))
	}
	x.credit(s.owner, s.Out)
}

// claim notes that a delegator has been given what waited at a rate; the last one takes
// the rate away.
func (x *exec) claim(key []byte, n uint64) {
	r := sure(one[OpenRate](x.view(), "rate", key))
	if r.Open -= n; r.Open == 0 {
		x.o.Delete(key)
		return
	}
	x.put(key, r)
}

func someMoney(a token.Amount) error {
	if a == 0 {
		return fmt.Errorf("of nothing: %w", ErrMalformed)
	}
	return nil
}
