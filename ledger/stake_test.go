package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

func TestADelegationEarnsAndComesBack(t *testing.T) {
	w := newWorld(t, small(), 4)
	op, alice := w.users[0], w.users[1]
	node := w.g.Nodes[0].ID
	start := w.account(alice).Balance
	w.refusedWith(ErrStake, w.try(alice, Delegate{Node: node, Amount: token.WAL / 2}))
	w.do(alice, Delegate{Node: node, Amount: 100 * token.WAL})
	if d, _, err := w.view().Delegation(alice.Address(), node); err != nil || d.Shares != 0 || len(d.Joining) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	w.refusedWith(ErrStake, w.try(alice, Undelegate{Node: node, Shares: 1}))
	w.toEpoch(1)
	// The fees of epoch 1 are the pay of its end: half of the pool's stake is alice's.
	w.do(w.users[2], RegisterBlob{Manifest: w.manifest(1, 5_000_000), Epochs: 1, Owner: alice.Address()})
	w.certify(w.manifest(1, 5_000_000).ID())
	w.toEpoch(2)
	d, _, err := w.view().Delegation(alice.Address(), node)
	if err != nil || len(d.Joining) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	w.refusedWith(ErrNothing, w.try(alice, Withdraw{Node: node}))
	pool, _, err := w.view().Pool(node)
	if err != nil {
		t.Fatal(err)
	}
	w.do(alice, Undelegate{Node: node, Shares: pool.Shares - staking.Shares(token.WAL)}) // all but those of no owner
	pool, _, err = w.view().Pool(node)
	if err != nil || len(pool.Leaving) != 1 || pool.Leaving[0].Epoch != 4 {
		t.Fatalf("%+v %v", pool, err)
	}
	w.toEpoch(3)
	w.refusedWith(ErrNothing, w.try(alice, Withdraw{Node: node}))
	w.allReady()
	w.toEpoch(4)
	w.do(alice, Withdraw{Node: node})
	w.balanced()
	end := w.account(alice).Balance
	if spent := 3 * fee; end <= start-spent {
		t.Fatalf("nothing was earned: %s of %s", end, start-spent)
	}
	if _, there, err := w.view().Delegation(alice.Address(), node); err != nil || there {
		t.Fatalf("an empty delegation is kept: %v", err)
	}
	before := w.account(op).Balance
	w.do(op, Withdraw{Node: node})
	if w.account(op).Balance+fee <= before {
		t.Fatal("the operator earned nothing")
	}
	w.balanced()
}

func TestBondStaysWhileTheNodeHasShards(t *testing.T) {
	w := newWorld(t, small(), 5)
	op := w.users[0]
	node := w.g.Nodes[0].ID
	w.do(op, Unbond{Node: node, Amount: 95 * token.WAL})
	w.refusedWith(ErrStake, w.try(op, Unbond{Node: node, Amount: 95 * token.WAL}))
	w.toEpoch(2) // one of its two shards has moved, and is not ready
	if c := w.committee(); len(c.Duty(node)) != 1 || len(c.Keeping(node)) != 1 {
		t.Fatalf("holds %v, keeps %v", c.Duty(node), c.Keeping(node))
	}
	drawBond := func() token.Amount {
		before := w.account(op).Balance
		if err := w.try(op, Withdraw{Node: node}); err != nil {
			return 0
		}
		return w.account(op).Balance + fee - before
	}
	if got := drawBond(); got >= 95*token.WAL {
		t.Fatal("the bond left before the shards did")
	}
	for len(w.committee().Duty(node))+len(w.committee().Keeping(node)) > 0 {
		w.allReady()
		if w.head().Epoch > 8 {
			t.Fatal("the shards do not move away")
		}
		w.toEpoch(w.head().Epoch + 1)
	}
	if got := drawBond(); got < 95*token.WAL {
		t.Fatalf("only %s came back", got)
	}
	w.balanced()
}

func TestEachReadyShardEarnsTheSame(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice := w.users[1]
	m := w.manifest(1, 10_000_000)
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address()})
	w.certify(m.ID())
	a := w.balanced()
	pay := a.Buckets + a.Carry
	w.toEpoch(1)
	pay -= pay * 2 / 100                       // the fee
	each := token.Amount(uint64(pay) * 2 / 10) // two shards of ten
	for _, n := range w.g.Nodes {
		p, _, err := w.view().Pool(n.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Total() - 100*token.WAL; got != each {
			t.Errorf("node %s earned %s, want %s", n.ID, got, each)
		}
	}
	if a := w.balanced(); a.Carry != pay-5*each || a.Buckets != 0 || a.Insurance == 0 {
		t.Fatalf("%+v", a)
	}
}
