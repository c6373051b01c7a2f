package report

import (
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// The rewards that are told of a delegation must be what its shares gained.
func TestRewardsAddUpToWhatSharesAreWorth(t *testing.T) {
	w := newWorld(t, 5, 99_999*token.WAL)
	w.Do(w.holder, token.WAL, ledger.Delegate{Node: w.ID(3), Amount: 1000 * token.WAL})
	for range 4 {
		w.paidEpoch()
	}
	n := w.now()
	var earned token.Amount
	for _, d := range must(n.Rewards(w.holder.Address(), 8))(t).Delegated {
		earned += d.Earned
		if d.Epoch == 0 {
			t.Errorf("it joined with epoch 1: %+v", d)
		}
	}
	p := must(n.Positions(w.holder.Address()))(t)
	if len(p.Delegations) != 1 {
		t.Fatalf("%+v", p)
	}
	gain := p.Delegations[0].Worth - 1000*token.WAL
	if earned == 0 || gain < earned || gain-earned > 8 { // rounding, once an epoch
		t.Errorf("earned %s, worth %s more", earned, gain)
	}
	own := must(n.Rewards(w.operator.Address(), 2))(t)
	if len(own.Operated) != 10 || own.From != 2 || own.To != 3 {
		t.Fatalf("%+v", own)
	}
	var held token.Amount
	for _, h := range own.Held {
		if h.Node == w.ID(3) {
			held += h.End.Amount
		}
	}
	pool, _, err := n.View.Pool(w.ID(3))
	if err != nil || held != pool.Held.Total() || own.Held[0].End.Epoch != n.Head.Epoch || !own.Held[0].End.About.Equal(n.Begins(n.Head.Epoch+1)) {
		t.Errorf("%v: a schedule of %s, held is %s", err, held, pool.Held.Total())
	}
}

// The bond is too small to carry the slash alone: the delegators carry the rest.
func TestWhatASlashTookIsToldOf(t *testing.T) {
	w := newWorld(t, 5, 1000*token.WAL)
	w.Do(w.holder, token.WAL, ledger.Delegate{Node: w.ID(3), Amount: 900_000 * token.WAL})
	w.paidEpoch()
	before := must(w.now().Positions(w.holder.Address()))(t)
	w.paidEpoch(ledger.Fault{Node: w.ID(3), Kind: ledger.Lie, Epoch: 1, Round: 1})
	r := must(w.now().Rewards(w.holder.Address(), 1))(t)
	if len(r.Delegated) != 1 || r.Delegated[0].Lost < 7_000*token.WAL {
		t.Fatalf("%+v", r.Delegated)
	}
	after := must(w.now().Positions(w.holder.Address()))(t)
	is, told := before.Delegations[0].Worth-after.Delegations[0].Worth, r.Delegated[0].Lost-r.Delegated[0].Earned
	if max(is, told)-min(is, told) > 2 { // rounding
		t.Errorf("told %s, the shares are worth %s less", told, is)
	}
}

// Shares that leave earn until the epoch in which they are money, and can be drawn from
// then on.
func TestADelegationComesAndGoes(t *testing.T) {
	w := newWorld(t, 5, 99_999*token.WAL)
	id := w.ID(3)
	w.Do(w.holder, token.WAL, ledger.Delegate{Node: id, Amount: 1000 * token.WAL})
	one := must(w.now().Positions(w.holder.Address()))(t).Delegations[0]
	if one.Shares != 0 || one.Worth != 0 || len(one.Joining) != 1 || one.Joining[0].Amount != 1000*token.WAL || one.Joining[0].Epoch != 1 {
		t.Fatalf("joining: %+v", one)
	}
	w.paidEpoch()
	one = must(w.now().Positions(w.holder.Address()))(t).Delegations[0]
	w.Do(w.holder, token.WAL, ledger.Undelegate{Node: id, Shares: one.Shares})
	leaving := must(w.now().Positions(w.holder.Address()))(t)
	if got := leaving.Delegations[0]; got.Shares != 0 || len(got.Leaving) != 1 || got.Leaving[0].Amount == 0 || got.Withdrawable != 0 || len(leaving.Withdrawable()) != 0 {
		t.Fatalf("leaving: %+v", got)
	}
	until := leaving.Delegations[0].Leaving[0].Epoch
	for w.Head().Epoch < until {
		w.paidEpoch()
	}
	w.paidEpoch()
	p := must(w.now().Positions(w.holder.Address()))(t)
	if got := p.Delegations[0]; got.Withdrawable < 1000*token.WAL || len(got.Leaving) != 0 || len(p.Withdrawable()) != 1 || p.Withdrawable()[0] != id {
		t.Errorf("left: %+v", got)
	}
	r := must(w.now().Rewards(w.holder.Address(), 8))(t)
	if len(r.Delegated) == 0 || r.Delegated[len(r.Delegated)-1].Epoch != until-1 {
		t.Errorf("the last reward is of the epoch before %d: %+v", until, r.Delegated)
	}
}
