package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// court is a world whose rounds are judged by hand.
type court struct {
	*world
	fate map[staking.NodeID]staking.Outcome // of all its shards, in every round; else they pass
	void bool
}

func judged() Params {
	p := small()
	p.Challenged, p.Staking.Ladder.LateEpochs = true, 2
	p.Challenge = challenge.Params{} // rounds are entered by hand
	p.RoundsPerEpoch = 10
	return p
}

func newCourt(t testing.TB, p Params, nodes int) *court {
	return &court{world: newWorld(t, p, nodes), fate: map[staking.NodeID]staking.Outcome{}}
}

// rounds runs rounds to their ends.
func (c *court) rounds(n int, faults ...Fault) {
	c.t.Helper()
	for range n {
		for !c.lastOfRound() {
			c.advance(1)
		}
		committee := c.committee()
		r := staking.RoundResult{Void: c.void}
		for _, id := range committee.Holder {
			o, known := c.fate[id]
			if !known {
				o = staking.Passed
			}
			r.Outcomes = append(r.Outcomes, o)
		}
		if _, err := c.l.Run(Block{Rounds: []staking.RoundResult{r}, Faults: faults}); err != nil {
			c.t.Fatal(err)
		}
		faults = nil
	}
}

// lastOfRound says that the next block is the last of a round.
func (c *court) lastOfRound() bool {
	h, p := c.head(), c.g.Params
	return (h.Height+2).Since(h.EpochStart)%p.RoundBlocks == 0 && h.Height < h.EpochEnd
}

// epoch runs to the first block of the next epoch.
func (c *court) epoch(faults ...Fault) {
	c.t.Helper()
	e := c.head().Epoch
	c.rounds(int(c.g.Params.RoundsPerEpoch), faults...)
	c.toEpoch(e + 1)
	c.balanced()
}

func (c *court) pool(id staking.NodeID) staking.Pool {
	c.t.Helper()
	p, _, err := c.view().Pool(id)
	return ok(c.world, p, err)
}

func (c *court) statement(epoch unit.Epoch, id staking.NodeID) Statement {
	c.t.Helper()
	s, known, err := c.view().Statement(epoch, id)
	if err != nil || !known {
		c.t.Fatalf("no statement of epoch %d for %s: %v", epoch, id, err)
	}
	return s
}

// pay makes an epoch worth something: a transfer with a large fee, which is carried.
func (c *court) pay(a token.Amount) {
	c.t.Helper()
	k := c.users[3]
	r, err := c.l.Run(Block{Txs: [][]byte{Sign(k, c.l.ChainID(), c.nonces[k.Address()], a, Transfer{To: k.Address(), Amount: 1})}})
	if err != nil || r.Txs[0].Code != 0 {
		c.t.Fatal(err, r.Txs)
	}
	c.nonces[k.Address()]++
}

func (c *court) set(id staking.NodeID, o staking.Outcome) { c.fate[id] = o }

func TestPayFollowsTheRuleToTheLastFrost(t *testing.T) {
	c := newCourt(t, judged(), 5) // two shards of ten each
	c.pay(1000 * token.WAL)
	silent := c.g.Nodes[1].ID
	c.set(silent, staking.Failed)
	c.epoch()
	books, _, err := c.view().Books(0)
	if err != nil {
		t.Fatal(err)
	}
	// The fee is 2 %, and goes to the insurance fund until it holds 2 % of 500 WAL.
	want := staking.Books{Carry: 1000 * token.WAL, Fee: 20 * token.WAL, Insured: 10 * token.WAL, FeeBurned: 10 * token.WAL,
		Tallied: 10, Judged: 10, Rounds: 10, Shares: 100, Earned: 80, Unearned: 196 * token.WAL, Repair: 98 * token.WAL, Burned: 98 * token.WAL}
	// The node that failed every round was slashed before, by 5 % of 100 WAL: rung 4.
	slashed := c.statement(0, silent)
	if v := slashed.Verdict; v.Rung != 4 || v.Bps != 500 || !v.Jail || !v.Move || slashed.Cut.Total() != 5*token.WAL || slashed.Reward != 0 {
		t.Fatalf("%+v", slashed)
	}
	want.Insured, want.FeeBurned = 9*token.WAL+900_000_000, 10*token.WAL+100_000_000 // 2 % of 495 WAL
	if books != want {
		t.Fatalf("got  %+v\nwant %+v", books, want)
	}
	// A fresh node has half of its 196 WAL held back; a tenth of the rest is commission,
	// and of what then is left 1 WAL of dead shares in 100 WAL have a hundredth.
	s := c.statement(0, c.g.Nodes[0].ID)
	if s.Reward != 196*token.WAL || s.Held != 98*token.WAL || s.HoldBps != 5000 || s.Released != 0 {
		t.Fatalf("%+v", s)
	}
	if p := s.Payment; p.Commission != 98*token.WAL/10 || p.Delegators != 882_000_000 || p.Bond+p.Delegators+p.Commission != 98*token.WAL {
		t.Fatalf("%+v", p)
	}
	a := c.balanced()
	// Of the 5 WAL that no finder is paid, 45 % go to the repair fund.
	if a.Burned != 10*token.WAL+100_000_000+98*token.WAL+2*token.WAL+750_000_000 || a.Repair != 98*token.WAL+2*token.WAL+250_000_000 || a.Carry != 0 {
		t.Fatalf("%+v", a)
	}
}

func TestWhatIsHeldBackComesInEightEpochs(t *testing.T) {
	c := newCourt(t, judged(), 5)
	c.pay(800 * token.WAL)
	c.epoch()
	id := c.g.Nodes[0].ID
	held := c.pool(id).Held.Total()
	if held == 0 {
		t.Fatal("nothing is held")
	}
	for i := range uint64(8) {
		c.epoch()
		if s := c.statement(unit.Epoch(1+i), id); s.Released < held/8 || s.Reward != 0 {
			t.Fatalf("epoch %d: %+v", 1+i, s)
		}
	}
	if left := c.pool(id).Held.Total(); left != 0 {
		t.Fatalf("%s is held for ever", left)
	}
}

func TestAMissDefersATrancheOnceAndThenLosesIt(t *testing.T) {
	c := newCourt(t, judged(), 5)
	c.pay(800 * token.WAL)
	c.epoch()
	id := c.g.Nodes[0].ID
	held := c.pool(id).Held.Total()
	repair := c.balanced().Repair
	miss := func() {
		for i := range 10 { // two rounds of ten: 80 % pass, which is no strike beyond rung 1 if away
			c.fate = map[staking.NodeID]staking.Outcome{}
			if i < 2 {
				c.set(id, staking.Away)
			}
			c.rounds(1)
		}
		c.toEpoch(c.head().Epoch + 1)
		c.balanced()
	}
	miss()
	if s := c.statement(1, id); s.Deferred != held/8 || s.Released != 0 || s.Lost != 0 || s.Verdict.Rung != 1 || s.Verdict.Bps != 0 {
		t.Fatalf("%+v", s)
	}
	for range 7 {
		c.epoch()
	}
	if left := c.pool(id).Held.Total(); left != held/8 {
		t.Fatalf("%s is left", left)
	}
	miss()
	if s := c.statement(9, id); s.Lost != held/8 || c.balanced().Repair-repair != held/8 {
		t.Fatalf("%+v", s)
	}
}

func TestAVoidRoundPaysTheNodesThatPassedAndStrikesNone(t *testing.T) {
	c := newCourt(t, judged(), 5)
	c.pay(1000 * token.WAL)
	for _, n := range c.g.Nodes[:2] { // four shards of ten: more than a third
		c.set(n.ID, staking.Failed)
	}
	c.epoch()
	bad, good := c.statement(0, c.g.Nodes[0].ID), c.statement(0, c.g.Nodes[4].ID)
	if bad.Verdict.Rung != 0 || bad.Reward != 0 || bad.Cut.Total() != 0 {
		t.Fatalf("%+v", bad)
	}
	if good.Reward != 196*token.WAL {
		t.Fatalf("%+v", good)
	}
}

func TestAnEpochWithoutRoundsCarriesItsPay(t *testing.T) {
	c := newCourt(t, judged(), 5)
	c.pay(1000 * token.WAL)
	c.toEpoch(1)
	if a := c.balanced(); a.Carry != 1000*token.WAL {
		t.Fatalf("%+v", a)
	}
	c.epoch()
	if s := c.statement(1, c.g.Nodes[0].ID); s.Reward != 196*token.WAL {
		t.Fatalf("%+v", s)
	}
}

func TestANodeThatProvedLessThanHalfEarnsNothing(t *testing.T) {
	c := newCourt(t, judged(), 5)
	c.pay(1000 * token.WAL)
	id := c.g.Nodes[2].ID
	c.set(id, staking.Away)
	c.rounds(6)
	delete(c.fate, id)
	c.rounds(4)
	c.toEpoch(1)
	if s := c.statement(0, id); s.Reward != 0 || s.Credit.Passed != 8 || s.Verdict.Bps != 0 {
		t.Fatalf("%+v", s)
	}
	c.balanced()
}

func TestANodeThatIsAwayTwoEpochsInARowIsSlashed(t *testing.T) {
	c := newCourt(t, judged(), 5)
	id := c.g.Nodes[2].ID
	c.set(id, staking.Away)
	c.epoch()
	if s := c.statement(0, id); s.Verdict.Bps != 0 {
		t.Fatalf("%+v", s.Verdict)
	}
	c.pay(100 * token.WAL)
	c.epoch()
	if v := c.statement(1, id).Verdict; v.Rung != 6 || v.Bps != 1000 || !v.Move || !v.Forfeit {
		t.Fatalf("%+v", v)
	}
	// Decided at the end of 1, its shards move in the committee of 3, one an epoch.
	c.epoch()
	if got := len(c.committee().Duty(id)); got != 1 {
		t.Fatalf("%d shards are left", got)
	}
}

func TestALieCostsOnceAndThreeAreTheEnd(t *testing.T) {
	c := newCourt(t, judged(), 5)
	id, finder := c.g.Nodes[3].ID, userKey(9).Address()
	lie := func(epoch unit.Epoch, round unit.Round) Fault {
		return Fault{Node: id, Kind: Lie, Epoch: epoch, Round: round, Finder: finder}
	}
	c.epoch(lie(0, 1), lie(0, 1))
	s := c.statement(0, id)
	if s.Lies != 1 || s.Verdict.Rung != 7 || s.Cut.Total() != token.WAL || s.Bounty != token.WAL/20 {
		t.Fatalf("%+v", s)
	}
	if a := c.account(userKey(9)); a.Balance != token.WAL/20 {
		t.Fatalf("the finder has %s", a.Balance)
	}
	c.epoch(lie(0, 1)) // once more in the next epoch
	if s := c.statement(1, id); s.Lies != 0 || s.Cut.Total() != 0 {
		t.Fatalf("%+v", s)
	}
	c.epoch(lie(2, 1), lie(2, 2))
	s = c.statement(2, id)
	n, _, err := c.view().Node(id)
	if err != nil || s.Verdict.Bps != 200 || !s.Verdict.Out || !n.Out {
		t.Fatalf("%+v %v", s.Verdict, n.Out)
	}
	c.refusedWith(ErrOut, c.try(c.users[1], Delegate{Node: id, Amount: token.WAL}))
}

func TestLiesOfMoreThanAThirdInOneRoundAreOurOwnMistake(t *testing.T) {
	c := newCourt(t, judged(), 5)
	var faults []Fault
	for _, n := range c.g.Nodes[:2] {
		faults = append(faults, Fault{Node: n.ID, Kind: Lie, Epoch: 0, Round: 3})
	}
	c.epoch(faults...)
	for _, n := range c.g.Nodes[:2] {
		if s := c.statement(0, n.ID); s.Lies != 0 || s.Cut.Total() != 0 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestJailEarnsNothingForAnEpoch(t *testing.T) {
	c := newCourt(t, judged(), 5)
	id := c.g.Nodes[2].ID
	c.set(id, staking.Failed)
	c.rounds(3) // 30 %
	delete(c.fate, id)
	c.rounds(7)
	c.toEpoch(1)
	if v := c.statement(0, id).Verdict; v.Rung != 3 || v.Bps != 200 || !v.Jail || v.Move {
		t.Fatalf("%+v", v)
	}
	for epoch, jailed := range []bool{1: false, 2: true, 3: false} {
		if epoch == 0 {
			continue
		}
		c.pay(1000 * token.WAL)
		c.epoch()
		s := c.statement(unit.Epoch(epoch), id)
		if s.Jailed != jailed || (s.Reward == 0) != jailed {
			t.Fatalf("epoch %d: %+v", epoch, s)
		}
	}
}

// Each sentence once moved the jail to its own epoch, so that a node that failed in
// every epoch was never in jail.
func TestASecondOffenceDoesNotPutOffTheJail(t *testing.T) {
	c := newCourt(t, judged(), 5)
	id := c.g.Nodes[2].ID
	offend := func() {
		c.pay(1000 * token.WAL)
		c.set(id, staking.Failed)
		c.rounds(3) // 30 %
		delete(c.fate, id)
		c.rounds(7)
		c.toEpoch(c.head().Epoch + 1)
		c.balanced()
	}
	for epoch := range unit.Epoch(6) {
		if epoch < 3 {
			offend()
		} else {
			c.pay(1000 * token.WAL)
			c.epoch()
		}
		s := c.statement(epoch, id)
		if jailed := epoch >= 2 && epoch <= 4; s.Jailed != jailed || (s.Reward == 0) != jailed {
			t.Errorf("epoch %d: jailed %v, earned %s", epoch, s.Jailed, s.Reward)
		}
	}
}

func TestAReceiverThatNeverBecomesReadyIsPunished(t *testing.T) {
	c := newCourt(t, judged(), 5)
	id, body := c.newcomer(c.users[3], 7, 300*token.WAL)
	c.do(c.users[3], body)
	c.toEpoch(1)
	if got := c.committee().Duty(id); len(got) != 1 {
		t.Fatalf("shards %v", got)
	}
	c.epoch()
	if v := c.statement(1, id).Verdict; v.Bps != 0 {
		t.Fatalf("%+v", v)
	}
	c.epoch()
	if s := c.statement(2, id); !s.Late || s.Verdict.Rung != 6 || s.Verdict.Bps != 1000 {
		t.Fatalf("%+v", s)
	}
}

func TestRecordsAreForgottenInTime(t *testing.T) {
	p := judged()
	p.HistoryEpochs = 2
	c := newCourt(t, p, 5)
	for range 4 {
		c.epoch()
	}
	if _, known, err := c.view().Statement(2, c.g.Nodes[0].ID); err != nil || known {
		t.Fatal("an old statement is kept", err)
	}
	c.statement(3, c.g.Nodes[0].ID)
	if _, known, err := c.view().Books(2); err != nil || known {
		t.Fatal("old books are kept", err)
	}
}

// Two tenths of the power sign twice: alone each pays (3/10)^2; the first one pays
// the rest of what both cost when the other is found an epoch later: (6/10)^2.
func TestANodeThatSignsTwiceWithOthersPaysForCompany(t *testing.T) {
	p := judged()
	p.Shards = 20
	c := newCourt(t, p, 10)
	first, second := c.g.Nodes[0].ID, c.g.Nodes[1].ID
	sign := func(id staking.NodeID, power int64) {
		t.Helper()
		if _, err := c.l.Run(Block{DoubleSigns: []DoubleSign{{Node: id, Height: c.head().Height, Power: power}}}); err != nil {
			t.Fatal(err)
		}
	}
	sign(first, 1)
	sign(first, 2) // the heavier of its faults counts
	sign(first, 1)
	c.epoch()
	if s := c.statement(0, first); s.DoubleSlash != 900 || s.Verdict.Rung != 9 || s.Cut.Total() != 9*token.WAL || !s.Verdict.Out {
		t.Fatalf("%+v", s)
	}
	sign(second, 2)
	sign(first, 9) // it has paid: nothing new
	c.epoch()
	if s := c.statement(1, second); s.DoubleSlash != 3600 || s.Cut.Total() != 36*token.WAL {
		t.Fatalf("%+v", s)
	}
	left := c.pool(first).AtRisk()
	if left > 64*token.WAL || left < 64*token.WAL-10_000_000 { // rounded to 1/10000, against it
		t.Fatalf("%s is left of 100WAL", left)
	}
	c.epoch()
	if s, known, err := c.view().Statement(2, first); err != nil || known && s.Cut.Total() != 0 {
		t.Fatalf("%+v %v", s, err)
	}
}
