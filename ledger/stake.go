package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Bond adds to the stake of one's own node.
type Bond struct {
	_      struct{} `cbor:",toarray"`
	Node   staking.NodeID
	Amount token.Amount
}

func (Bond) kind() Kind { return KindBond }

func (b Bond) check(Params) error { return someMoney(b.Amount) }

func (b Bond) plan(x *exec, tx Tx) (plan, error) {
	if _, err := x.operated(b.Node, tx); err != nil {
		return plan{}, err
	}
	return plan{cost: b.Amount, apply: func() {
		p := x.pool(b.Node)
		p.AddBond(b.Amount)
		x.put(KeyPool(b.Node), p)
	}}, nil
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
	if err := p.Unbond(b.Amount, x.counted()+x.p.Staking.UnbondingEpochs+1); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrStake, err)
	}
	return plan{apply: func() { x.put(KeyPool(b.Node), p) }}, nil
}

// Delegate puts money behind a node. It becomes shares at the next epoch's start.
type Delegate struct {
	_      struct{} `cbor:",toarray"`
	Node   staking.NodeID
	Amount token.Amount
}

func (Delegate) kind() Kind { return KindDelegate }

func (b Delegate) check(Params) error { return someMoney(b.Amount) }

func (b Delegate) plan(x *exec, tx Tx) (plan, error) {
	n, err := x.node(b.Node)
	if err != nil {
		return plan{}, err
	}
	if n.Out {
		return plan{}, fmt.Errorf("%s: %w", b.Node, ErrOut)
	}
	s := x.stakeOf(tx.Signer.Address(), b.Node)
	if err := s.pool.Delegate(&s.part, b.Amount, x.epoch(), x.p.Staking); err != nil {
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

// Withdraw draws what the signer can have of a node: undelegated money whose time
// has come, and, as its operator, earnings and bond whose time has come.
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
	s := x.stakeOf(tx.Signer.Address(), b.Node)
	if n.Operator == tx.Signer.Address() {
		s.out = must(s.out.Add(s.pool.DrawEarned()))
		if x.released(b.Node, s.pool) {
			s.out = must(s.out.Add(s.pool.DrawBond(x.epoch())))
		}
	}
	if s.out == 0 {
		return plan{}, fmt.Errorf("%s: %w", b.Node, ErrNothing)
	}
	return plan{apply: func() { x.putStake(s) }}, nil
}

// released says whether bond may leave: not while the node keeps a shard for a
// holder that is not ready, nor while it has shards and less than the least bond
// would stay.
func (x *exec) released(id staking.NodeID, p staking.Pool) bool {
	c := x.committee()
	if len(c.Keeping(id)) > 0 {
		return false
	}
	return x.p.Staking.Seated(p) || len(c.Duty(id)) == 0
}

// counted is the last epoch whose committee was chosen by the stake of before this
// transaction: from the middle on that is the next.
func (x *exec) counted() uint64 {
	if x.head.Height >= x.head.Middle() {
		return x.epoch() + 1
	}
	return x.epoch()
}

// stake is one account's part of a pool, settled up to now, and the money that came out.
type stake struct {
	owner token.Address
	node  staking.NodeID
	pool  staking.Pool
	part  staking.Delegation
	out   token.Amount
}

func (x *exec) stakeOf(owner token.Address, node staking.NodeID) stake {
	s := stake{owner: owner, node: node, pool: x.pool(node)}
	var err error
	s.part, _, err = x.view().Delegation(owner, node)
	sure(s.part, err)
	s.out = s.pool.Settle(&s.part, x.epoch(), func(epoch uint64) staking.Rate {
		r, ok, err := x.view().Rate(node, epoch)
		if err == nil && !ok {
			err = fmt.Errorf("pool of %s has no rate of epoch %d", node, epoch)
		}
		return sure(r, err)
	})
	return s
}

func (x *exec) putStake(s stake) {
	x.put(KeyPool(s.node), s.pool)
	if s.part.IsEmpty() {
		x.o.Delete(KeyDelegation(s.owner, s.node))
	} else {
		x.put(KeyDelegation(s.owner, s.node), s.part)
	}
	x.credit(s.owner, s.out)
}

func someMoney(a token.Amount) error {
	if a == 0 {
		return fmt.Errorf("of nothing: %w", ErrMalformed)
	}
	return nil
}
