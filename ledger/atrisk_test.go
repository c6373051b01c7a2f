package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// draft runs blocks on a copy of a ledger; nothing of it stays.
type draft struct {
	t testing.TB
	x *exec
}

func (w *world) draft() draft {
	w.t.Helper()
	x, err := w.l.machine.exec()
	return draft{w.t, ok(w, x, err)}
}

func (d draft) block(b Block, txs ...[]byte) {
	d.t.Helper()
	b.Height, b.TimeMs = d.x.head.Height+1, d.x.head.TimeMs
	d.x.at = b.Height
	d.x.begin(b)
	block := d.x.o
	for _, raw := range txs {
		if _, err := d.x.run(block, raw); err != nil {
			d.t.Fatal(err)
		}
	}
	d.x.o = block
}

// cut is what the settlement of an epoch took from a node.
func (d draft) cut(epoch unit.Epoch, id staking.NodeID) staking.Cut {
	d.t.Helper()
	for d.x.head.Epoch <= epoch {
		d.block(Block{})
	}
	s, known, err := d.x.view().Statement(epoch, id)
	if err != nil || !known {
		d.t.Fatalf("no statement of epoch %d: %v", epoch, err)
	}
	return s.Cut
}

// free is a network in which transactions cost nothing, so that nothing is earned and
// what is at risk is the same to the last FROST in every order.
func free(unbonding uint64) Params {
	p := small()
	p.Fees, p.RoundBlocks, p.RoundsPerEpoch = Fees{}, 4, 2
	p.Staking.UnbondingEpochs, p.Staking.CommissionNotice = unbonding, unbonding+2
	p.Registry.RefundFeeBps = 0
	return p
}

// Invariant 10. Stake that counted in an epoch pays for what was done in it: if its owner
// asks for it back, in whatever block from the epoch before to the one after, and
// whenever the proof comes while it may come, the slash takes the same.
func TestStakeThatCountedIsSlashedWhateverTheOrder(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	const fault = 2 // the epoch
	for _, unbonding := range []uint64{1, 2, 3} {
		p := free(unbonding)
		w := newWorld(t, p, 5)
		blocks, op, alice, id := p.EpochBlocks(), w.users[0], w.users[1], w.g.Nodes[0].ID
		chain := w.l.ChainID()
		delegate := Sign(alice, chain, 0, 0, Delegate{Node: id, Amount: 50 * token.WAL})
		exits := [][]byte{
			Sign(op, chain, 0, 0, Unbond{Node: id, Amount: 80 * token.WAL}),
			Sign(alice, chain, 1, 0, Undelegate{Node: id, Shares: staking.Shares(50 * token.WAL)}),
			Sign(alice, chain, 2, 0, Delegate{Node: w.g.Nodes[1].ID, Amount: 50 * token.WAL}), // elsewhere
		}
		middle := unit.Height((fault-1)*blocks + 1 + blocks/2) // from here on the exit comes after the choice for the fault's epoch
		tried, left := 0, 0
		// run is the slash where exits come in block asked (0: never) and the proof in block shown.
		run := func(asked, shown unit.Height, double bool) staking.Cut {
			d := w.draft()
			d.block(Block{}, delegate)
			for d.x.head.Height < shown || d.x.head.Height < asked {
				var b Block
				var txs [][]byte
				if h := d.x.head.Height + 1; h == asked {
					txs = exits
				}
				if d.x.head.Height+1 == shown && double {
					b.DoubleSigns = []DoubleSign{{Node: id, Height: unit.Height(fault*blocks) + 1, Power: 1}}
				} else if d.x.head.Height+1 == shown {
					b.Faults = []Fault{{Node: id, Kind: Lie, Epoch: fault, Round: 1}}
				}
				d.block(b, txs...)
			}
			tried++
			return d.cut(unit.Epoch(uint64(shown-1)/blocks), id)
		}
		for _, double := range []bool{false, true} {
			last := unit.Height((fault + 1 + unbonding) * blocks) // the last block of the last epoch in which the proof counts
			if double {
				last = unit.Height(fault*blocks + 1 + p.EvidenceBlocks())
			}
			want := run(0, unit.Height(fault*blocks)+1, double)
			if want.Total() == 0 || want.Bond != want.Total() {
				t.Fatalf("%+v", want)
			}
			for shown := unit.Height(fault*blocks) + 1; shown <= last; shown++ {
				for asked := unit.Height((fault-1)*blocks) + 1; asked <= unit.Height((fault+2)*blocks); asked++ {
					got := run(asked, shown, double)
					found := uint64(shown-1) / blocks
					if asked < middle && found >= fault+unbonding {
						// It had not counted, and has left unless the node keeps a shard for another:
						// what stays, 20 WAL of 150, pays its part.
						if rest := must(want.Total().MulDivUp(20, 150)); got.Total() == rest {
							left++
							continue
						}
					}
					if got != want {
						t.Fatalf("unbonding %d, double %v: asked for in block %d, proof in %d: %+v, else %+v", unbonding, double, asked, shown, got, want)
					}
				}
			}
		}
		if tried < 500 || left == 0 {
			t.Errorf("unbonding %d: %d orders, in %d of them the stake had left", unbonding, tried, left)
		}
	}
}

// Invariant 9. Three ledgers: a delegation, the same in three parts, and three people
// with one part each. After pay, a slash that reaches the delegators, and an exit in two
// steps, they come to the same.
func TestSplittingADelegationChangesNothing(t *testing.T) {
	const dust = 12 // FROST: each part is rounded when it joins, and when it leaves, twice
	parts := []token.Amount{100*token.WAL + 1, 33*token.WAL + 333_333_333, 166*token.WAL + 7}
	whole := []token.Amount{parts[0] + parts[1] + parts[2]}
	one := splitTotal(t, []int{1}, whole)
	for _, owners := range [][]int{{1, 1, 1}, {1, 2, 3}} {
		got := splitTotal(t, owners, parts)
		if d := max(got, one) - min(got, one); d > dust {
			t.Errorf("owners %v have %s back, one alone %s: %d FROST apart", owners, got, one, d)
		}
	}
	if one == whole[0] || one < whole[0]/8 {
		t.Errorf("%s of %s: nothing happened to it", one, whole[0])
	}
}

// splitTotal is what owners of parts of a delegation have back in the end.
func splitTotal(t *testing.T, owners []int, parts []token.Amount) (sum token.Amount) {
	p := judged()
	p.Fees = Fees{}
	p.Staking.Ladder.LieSlash, p.Staking.Ladder.LieMost = 3000, 6000
	c := newCourt(t, p, 5)
	id := c.g.Nodes[1].ID
	do := func(owner int, body Body) {
		t.Helper()
		k := c.users[owner]
		r, err := c.l.Run(Block{Txs: [][]byte{Sign(k, c.l.ChainID(), c.nonces[k.Address()], 0, body)}})
		if err != nil || r.Txs[0].Code != 0 {
			t.Fatal(err, r.Txs)
		}
		c.nonces[k.Address()]++
	}
	distinct := map[int]bool{}
	for i, a := range parts {
		do(owners[i], Delegate{Node: id, Amount: a})
		distinct[owners[i]] = true
	}
	c.toEpoch(1)
	exit := func(halves staking.Shares) {
		for owner := range distinct {
			k := c.users[owner]
			d, _, err := c.view().Delegation(k.Address(), id)
			pool := c.pool(id)
			settled, err2 := c.view().Settle(id, &pool, &d)
			if err != nil || err2 != nil {
				t.Fatal(err, err2, settled)
			}
			do(owner, Undelegate{Node: id, Shares: d.Shares / halves})
		}
	}
	for e := range token.Amount(5) {
		c.pay(777_777_777 * (1 + e))
		if e == 1 {
			exit(2)
		}
		var lies []Fault
		if e == 2 {
			lies = []Fault{{Node: id, Kind: Lie, Epoch: c.head().Epoch, Round: 1}, {Node: id, Kind: Lie, Epoch: c.head().Epoch, Round: 2}}
		}
		c.epoch(lies...)
	}
	exit(1)
	c.toEpoch(c.head().Epoch + 3)
	for owner := range distinct {
		before := c.account(c.users[owner]).Balance
		do(owner, Withdraw{Node: id})
		sum += c.account(c.users[owner]).Balance - before
		if _, there, _ := c.view().Delegation(c.users[owner].Address(), id); there {
			t.Fatal("something is left")
		}
	}
	c.balanced()
	return sum
}
