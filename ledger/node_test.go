package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// newcomer registers a node that was not in the genesis.
func (w *world) newcomer(op token.Key, i int, bond token.Amount) (staking.NodeID, RegisterNode) {
	s := nodeSecret(i)
	w.secrets = append(w.secrets, s)
	b := RegisterNode{Addresses: []string{"/ip4/127.0.0.1/tcp/9"}, Comet: "127.0.0.1:9", CapacityKiB: 1 << 30, Name: "new", Bond: bond, CommissionBps: 500}
	b = b.Prove(w.l.ChainID(), worldName, op.Address(), s.Key(), s.BLSKey())
	return b.Node, b
}

func TestAFreshNodeThatBondsGetsShards(t *testing.T) {
	w := newWorld(t, small(), 4)
	op := w.users[3]
	_, body := w.newcomer(op, 6, 9*token.WAL)
	w.refusedWith(ErrStake, w.try(op, body))
	id, body := w.newcomer(op, 7, 10*token.WAL)
	w.do(op, body)
	w.do(op, Unbond{Node: id, Amount: token.WAL})
	w.toEpoch(1)
	if got := w.committee().Duty(id); len(got) != 0 {
		t.Fatalf("too little bond, and shards %v", got)
	}
	w.do(op, Bond{Node: id, Amount: 200 * token.WAL})
	w.toEpoch(2)
	c := w.committee()
	if got := c.Duty(id); len(got) != 1 || c.NotReady() != 1 { // MoveBound(10) = 1
		t.Fatalf("shards %v, %d on the move", got, c.NotReady())
	}
	s := c.Duty(id)[0]
	old := c.From[s]
	if keeping := c.Keeping(old); len(keeping) != 1 || keeping[0] != s {
		t.Fatalf("%s keeps %v", old, keeping)
	}
	// Not ready: nothing else moves, and it earns nothing.
	w.toEpoch(3)
	c = w.committee()
	if got := c.Duty(id); len(got) != 1 || c.From[s] != old {
		t.Fatalf("shards %v from %s", got, c.From[s])
	}
	if p, _, err := w.view().Pool(id); err != nil || p.Earned != token.WAL || p.Balance != token.WAL { // nothing but the bond it took back
		t.Fatalf("%+v %v", p, err)
	}
	key := w.secrets[len(w.secrets)-1].Key()
	ready := NewShardReady(w.l.ChainID(), key, 3, s)
	forged := ready
	forged.Signature[0] ^= 1
	w.refusedWith(ErrSignature, w.send(forged))
	w.refusedWith(ErrNotMoving, w.send(NewShardReady(w.l.ChainID(), key, 2, s)))
	w.refusedWith(ErrNotMoving, w.send(NewShardReady(w.l.ChainID(), key, 3, s+1)))
	w.refusedWith(ErrNotMoving, w.send(NewShardReady(w.l.ChainID(), w.secrets[0].Key(), 3, s)))
	if err := w.send(ready); err != nil {
		t.Fatal(err)
	}
	w.refusedWith(ErrNotMoving, w.send(ready))
	w.do(w.users[1], Transfer{To: op.Address(), Amount: 1}) // whose fee is the epoch's pay
	w.toEpoch(4)
	if got := w.committee().Duty(id); len(got) != 2 {
		t.Fatalf("shards %v", got)
	}
	if p, _, err := w.view().Pool(id); err != nil || p.Earned == 0 {
		t.Fatalf("a ready shard earned nothing: %+v %v", p, err)
	}
	w.balanced()
}

func TestANodeIsRegisteredByTheHolderOfItsKeys(t *testing.T) {
	w := newWorld(t, small(), 4)
	op, thief := w.users[3], w.users[2]
	_, good := w.newcomer(op, 7, 20*token.WAL)
	w.refusedWith(ErrSignature, w.try(thief, good))
	noPossession := good
	noPossession.BLSProof[3] ^= 1
	w.refusedWith(ErrSignature, w.try(op, noPossession))
	poor := good
	poor.Bond = token.WAL / 2
	w.refusedWith(ErrStake, w.try(op, poor))
	nowhere := good
	nowhere.CapacityKiB = 0
	w.refusedWith(ErrMalformed, w.try(op, nowhere))
	_, otherKey := w.newcomer(op, 8, 20*token.WAL)
	otherKey.Node = good.Node
	w.refusedWith(ErrSignature, w.try(op, otherKey))
	w.do(op, good)
	w.refusedWith(ErrNodeExists, w.try(op, good))
	taken := RegisterNode{CapacityKiB: 1, Bond: 20 * token.WAL}.Prove(w.l.ChainID(), worldName, op.Address(), nodeSecret(9).Key(), nodeSecret(7).BLSKey())
	w.refusedWith(ErrNodeExists, w.try(op, taken))
	w.refusedWith(ErrNotOperator, w.try(thief, UpdateNode{Node: good.Node, CapacityKiB: 1}))
	w.refusedWith(ErrNotOperator, w.try(thief, Unbond{Node: good.Node, Amount: 1}))
	w.refusedWith(ErrUnknownNode, w.try(op, Bond{Node: staking.NodeID{1}, Amount: 1}))
	w.do(op, UpdateNode{Node: good.Node, Addresses: []string{"/dns4/x/tcp/1"}, Comet: "x:1", CapacityKiB: 5, Name: "y"})
	n, _, err := w.view().Node(good.Node)
	if err != nil || n.Name != "y" || n.Operator != op.Address() || n.Addresses[0] != "/dns4/x/tcp/1" {
		t.Fatalf("%+v %v", n, err)
	}
	w.balanced()
}

func TestAnExpelledNodeLosesItsShardsWithinTheBound(t *testing.T) {
	w := newWorld(t, small(), 6)
	bad := w.g.Nodes[2].ID
	m := w.l.machine
	block := func(signers ...DoubleSign) Result {
		r, err := m.Execute(Block{Height: m.Height() + 1, TimeMs: w.g.Time, DoubleSigns: signers})
		if err == nil {
			err = m.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	block(DoubleSign{Node: bad, Power: 1}, DoubleSign{Node: bad, Power: 2})
	block(DoubleSign{Node: bad}, DoubleSign{Node: staking.NodeID{5}})
	if n, _, err := w.view().Node(bad); err != nil || !n.Out {
		t.Fatalf("%+v %v", n, err)
	}
	w.refusedWith(ErrOut, w.try(w.users[1], Delegate{Node: bad, Amount: token.WAL}))
	had := len(w.committee().Duty(bad))
	for e := unit.Epoch(1); had > 0; e++ {
		w.toEpoch(e)
		c := w.committee()
		if now := len(c.Duty(bad)); now != had-1 {
			t.Fatalf("epoch %d: %d shards, before %d", e, now, had)
		}
		had--
		for s, from := range c.From {
			if from.IsZero() {
				continue
			}
			for _, secret := range w.secrets {
				if staking.NodeID(secret.Key().Public()) == c.Holder[s] {
					if err := w.send(NewShardReady(w.l.ChainID(), secret.Key(), e, blob.Shard(s))); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestValidatorsFollowTheCommittee(t *testing.T) {
	w := newWorld(t, small(), 4)
	op := w.users[3]
	_, body := w.newcomer(op, 7, 5000*token.WAL)
	w.do(op, body)
	m := w.l.machine
	power := map[staking.NodeID]int64{}
	first, err := m.Validators()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range first {
		power[v.NodeID] = v.Power
	}
	changes := 0
	for w.head().Epoch < 4 {
		r, err := m.Execute(Block{Height: m.Height() + 1, TimeMs: w.g.Time + 1e9})
		if err == nil {
			err = m.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.Validators {
			changes++
			if power[v.NodeID] = v.Power; v.Power == 0 {
				delete(power, v.NodeID)
			}
		}
		if h := w.head(); len(r.Validators) > 0 && h.Height != h.EpochStart {
			t.Fatalf("validators change at height %d, in the midst of an epoch", h.Height)
		}
		now, err := m.Validators()
		if err != nil || len(now) != len(power) {
			t.Fatalf("%v %v, updates lead to %v", now, err, power)
		}
		for _, v := range now {
			if power[v.NodeID] != v.Power {
				t.Fatalf("%s has power %d, updates lead to %d", v.NodeID, v.Power, power[v.NodeID])
			}
		}
	}
	if changes == 0 {
		t.Fatal("nothing changed")
	}
}
