package report

import (
	"math"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func TestTheFirstEpochHasNoPast(t *testing.T) {
	w := newWorld(t, 4, 1000*token.WAL)
	n := w.now()
	list := must(n.Nodes(8))(t)
	if len(list) != 4 {
		t.Fatalf("%d nodes", len(list))
	}
	shards := 0
	for _, one := range list {
		shards += one.Shards
		if one.Return != nil || len(one.Slashes) != 0 || one.Now != (ShardRounds{}) || one.Past != (ShardRounds{}) || one.Penalty != (Penalty{}) || one.Power != one.Shards || one.Stake < one.Bond || one.Stake == 0 {
			t.Errorf("%+v", one)
		}
	}
	if shards != n.Params.Shards {
		t.Errorf("%d shards have a holder, of %d", shards, n.Params.Shards)
	}
	if j := w.jail(w.ID(0)); len(j.Results)+len(j.Unready)+j.Lies != 0 || j.Penalty != (Penalty{}) {
		t.Errorf("%+v", j)
	}
	if r := must(n.Rewards(w.operator.Address(), 8))(t); r.From != 0 || r.To != 0 || len(r.Delegated)+len(r.Operated)+len(r.Held) != 0 {
		t.Errorf("%+v", r)
	}
}

// A network without a blob, a delegation or an income is shown as it is: with prices and
// room, and without a strength.
func TestAnEmptyNetworkHasFiguresToo(t *testing.T) {
	w := newWorld(t, 4, 1000*token.WAL)
	for range 3 {
		n := w.now()
		o := must(n.Overview())(t)
		if o.Nodes != 4 || o.Shards != 10 || o.Faults != 3 || o.UsedKiB != 0 || o.RoomKiB == 0 || o.BlobMiB <= o.StoredMiB || o.Strength != nil || o.NoStrength == "" || !o.EpochEndTime.Equal(n.Begins(n.Head.Epoch+1)) {
			t.Errorf("%+v", o)
		}
		if o.Power.LargestShards == 0 || o.Power.Stake == 0 || o.Power.ThirdCosts == 0 {
			t.Errorf("%+v", o.Power)
		}
		for _, one := range must(n.Nodes(8))(t) {
			if r := one.Return; r != nil && (math.IsNaN(r.Mean) || r.Epochs != int(n.Head.Epoch)) {
				t.Errorf("%+v", r)
			}
		}
		if rate := must(n.PassRate())(t); rate != nil {
			t.Errorf("before a round of the epoch is over the pass rate is %+v", rate)
		}
		p := must(n.Positions(w.holder.Address()))(t)
		if len(p.Delegations)+len(p.Operated)+len(p.Withdrawable()) != 0 || p.Delegations == nil || p.Operated == nil {
			t.Errorf("%+v", p)
		}
		w.Epoch()
	}
}

func TestAPenaltyIsShownUntilItIsOver(t *testing.T) {
	w := newWorld(t, 5, 99_999*token.WAL)
	bad := w.ID(1)
	w.Fate[bad] = staking.Failed
	w.paidEpoch()
	delete(w.Fate, bad)
	wants := []Penalty{
		{JailFrom: 2, JailUntil: 3, MoveUntil: 2, NoNewUntil: 3}, // epoch 1
		{Jailed: true, JailFrom: 2, JailUntil: 3, NoNewUntil: 3}, // epoch 2
		{}, // epoch 3
	}
	for i, want := range wants {
		one, j := w.node(bad), w.jail(bad)
		if one.Penalty != want || j.Penalty != want || one.JailedUntil != want.JailUntil || one.NoNewUntil != want.NoNewUntil || one.Out {
			t.Errorf("epoch %d: %+v, want %+v", i+1, one.Penalty, want)
		}
		if len(one.Slashes) != 1 || one.Slashes[0].Epoch != 0 || one.Slashes[0].Rung != 4 || one.Slashes[0].Amount == 0 {
			t.Errorf("epoch %d: slashes %+v", i+1, one.Slashes)
		}
		if len(j.Results) != i+1 || j.Results[0].Slashed != one.Slashes[0].Amount || j.Results[0].Bps == 0 || !slices.Contains(j.Results[0].Effect, "jail") || j.Results[0].Failed != 8 || j.Results[0].Passed != (ShardRounds{0, 8}) {
			t.Errorf("epoch %d: %+v", i+1, j.Results)
		}
		w.paidEpoch()
	}
	for i := range 5 {
		if one := w.node(w.ID(i)); i != 1 && (len(one.Slashes) != 0 || one.Penalty.Out || one.Penalty.Jailed) {
			t.Errorf("node %d pays for another: %+v", i, one)
		}
	}
}

func TestANodeThatToldTooManyLiesIsOut(t *testing.T) {
	w := newWorld(t, 5, 99_999*token.WAL)
	liar := w.ID(4)
	for lies := 1; ; lies++ {
		w.paidEpoch(ledger.Fault{Node: liar, Kind: ledger.Lie, Epoch: w.Head().Epoch, Round: 1})
		j := w.jail(liar)
		if uint64(lies) < j.LiesOut {
			if j.Out || j.Lies != lies {
				t.Fatalf("after %d lies: %+v", lies, j)
			}
			continue
		}
		if one := w.node(liar); !j.Out || !one.Out || !one.Penalty.Out || !slices.Contains(j.Results[len(j.Results)-1].Effect, "out for good") {
			t.Errorf("after %d lies: %+v, %+v", lies, j, one)
		}
		return
	}
}

// A node without enough bond leaves: the shards that no new holder is ready for stay with
// it, its bond becomes money, and its pool has no stake.
func TestANodeThatLeavesKeepsShardsUntilTheyAreTaken(t *testing.T) {
	w := newWorld(t, 5, 1000*token.WAL)
	w.paidEpoch()
	id := w.ID(2)
	bond := must(w.now().Positions(w.operator.Address()))(t)
	at := slices.IndexFunc(bond.Operated, func(o OwnNode) bool { return o.Node == id })
	had := w.node(id).Shards
	w.Do(w.operator, token.WAL, ledger.Unbond{Node: id, Amount: bond.Operated[at].Bond})
	own := must(w.now().Positions(w.operator.Address()))(t).Operated[at]
	if own.Bond != 0 || len(own.Leaving) != 1 || own.Leaving[0].Amount != bond.Operated[at].Bond || own.Leaving[0].Epoch <= w.Head().Epoch || !own.Leaving[0].About.Equal(w.now().Begins(own.Leaving[0].Epoch)) {
		t.Fatalf("%+v", own)
	}
	for range 3 {
		w.paidEpoch()
	}
	one := w.node(id)
	const most = 1 // half of f: the shards that move at once, those included that are not ready
	if had != 2 || one.Shards != had-most || one.Keeping != most || one.Bond != 0 || one.Counted != 0 {
		t.Errorf("it had %d shards; %+v", had, one)
	}
	kept := 0
	for _, other := range must(w.now().Nodes(1))(t) {
		kept += other.Keeping
	}
	if kept != most {
		t.Errorf("%d shards are kept by old holders, %d were handed over", kept, most)
	}
	if r := one.Return; r == nil || r.Epochs != 4 || math.IsNaN(r.Low) || math.IsInf(r.High, 0) {
		t.Errorf("%+v", r)
	}
}

func TestAPoolWithoutStakeReturnsNothing(t *testing.T) {
	n := Now{Head: ledger.Head{Epoch: 4}, Params: ledger.Default()}
	paid := func(epoch unit.Epoch, balance, delegators token.Amount) EpochStatement {
		st := EpochStatement{Epoch: epoch}
		st.Weight.Balance, st.Payment.Delegators = balance, delegators
		return st
	}
	year := 365 * 24 * 3600 * 1000 / float64(n.Params.EpochBlocks()*n.Params.BlockMs)
	for name, c := range map[string]struct {
		statements []EpochStatement
		want       *Returns
	}{
		"no statement":                 {nil, nil},
		"no stake":                     {[]EpochStatement{paid(3, 0, 0)}, &Returns{Epochs: 1}},
		"1 % an epoch":                 {[]EpochStatement{paid(3, 1000, 10)}, &Returns{Mean: year, Low: year, High: year, Epochs: 1}},
		"an epoch without stake":       {[]EpochStatement{paid(2, 0, 0), paid(3, 1000, 10)}, &Returns{Mean: year / 2, High: year, Epochs: 2}},
		"an epoch without a statement": {[]EpochStatement{paid(1, 1000, 20), paid(3, 1000, 10)}, &Returns{Mean: year, High: 2 * year, Epochs: 3}},
	} {
		got := n.Returns(c.statements)
		if (got == nil) != (c.want == nil) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if got != nil && (got.Epochs != c.want.Epochs || math.Abs(got.Mean-c.want.Mean) > 1e-9*year || math.Abs(got.Low-c.want.Low) > 1e-9*year || math.Abs(got.High-c.want.High) > 1e-9*year) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
