package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// A vote may change over how many epochs pay is held back, and how much, while some is.
// What was held before comes as it was promised, and nothing is made, lost or stuck.
func TestAVoteOnTranchesLeavesWhatIsHeldAsPromised(t *testing.T) {
	for _, tranches := range []uint64{1, 3, 8, 20, 64} {
		c := newCourt(t, judged(), 5)
		id := c.g.Nodes[0].ID
		c.pay(800 * token.WAL)
		c.vote(Vote{Changes: []ParamChange{{Name: "pay.tranches", Value: tranches}, {Name: "pay.fresh_epochs", Value: 0}, {Name: "pay.hold_bps", Value: 10000}}}, 0, 1, 2, 3, 4)
		c.epoch() // 0: the votes count at its end, for epoch 2
		part := c.pool(id).Held.Total() / 8
		c.epoch()
		if p := c.rules().Params.Staking.Pay; p.Tranches != tranches || p.HoldBps != 10000 {
			t.Fatalf("%+v", p)
		}
		c.pay(640 * token.WAL)
		c.epoch() // 2: its pay is held back in so many tranches, all of it
		s := c.statement(2, id)
		if s.Released != part || s.Held != s.Reward || s.Reward == 0 {
			t.Fatalf("%d tranches: %+v, want %s of before", tranches, s, part)
		}
		fresh := s.Held / token.Amount(tranches)
		held := c.pool(id).Held.Total()
		for epoch := unit.Epoch(3); epoch < unit.Epoch(3+max(6, tranches)); epoch++ {
			c.epoch()
			s := c.statement(epoch, id)
			want := token.Amount(0)
			if epoch <= 8 {
				want += part // the eighth of epoch 0's is due at the end of epoch 8
			}
			if epoch < unit.Epoch(3+tranches) {
				want += fresh
			}
			if s.Released < want || s.Released > want+7+token.Amount(tranches) { // the last has what does not divide
				t.Fatalf("%d tranches, epoch %d: %s are released, want %s", tranches, epoch, s.Released, want)
			}
			held -= s.Released
		}
		if left := c.pool(id).Held.Total(); held != 0 || left != 0 {
			t.Fatalf("%d tranches: %s are stuck, %s by the statements", tranches, left, held)
		}
	}
}

// A tranche that is missed moves to the tail as it is by then: fewer tranches, sooner.
func TestAMissAfterAVoteOnTranchesMovesToTheNewTail(t *testing.T) {
	for _, tranches := range []uint64{1, 2, 12} {
		c := newCourt(t, judged(), 5)
		id := c.g.Nodes[0].ID
		c.pay(800 * token.WAL)
		c.vote(Vote{Changes: []ParamChange{{Name: "pay.tranches", Value: tranches}, {Name: "ladder.pass_bps", Value: 9500}, {Name: "pay.release_bps", Value: 9900}}}, 0, 1, 2, 3, 4)
		c.epoch()
		total := c.pool(id).Held.Total()
		part := total / 8
		c.epoch()
		c.set(id, staking.Away) // one round of ten: 90 %, less than either asks for now
		c.rounds(1)
		delete(c.fate, id)
		c.rounds(9)
		c.toEpoch(3)
		if s := c.statement(2, id); s.Deferred != part || s.Released != 0 || s.Lost != 0 || !s.Verdict.Defer {
			t.Fatalf("%d tranches: %+v", tranches, s)
		}
		got := part // of epoch 1
		for epoch := unit.Epoch(3); epoch < unit.Epoch(3+max(6, tranches)); epoch++ {
			c.epoch()
			s, want := c.statement(epoch, id), token.Amount(0)
			if epoch <= 8 {
				want += part
			}
			if epoch == unit.Epoch(2+tranches) {
				want += part
			}
			if s.Released < want || s.Released > want+8 {
				t.Fatalf("%d tranches, epoch %d: %s are released, want %s", tranches, epoch, s.Released, want)
			}
			got += s.Released
		}
		if got != total || c.pool(id).Held.Total() != 0 {
			t.Fatalf("%d tranches: %s of %s came, %s are stuck", tranches, got, total, c.pool(id).Held.Total())
		}
	}
}

// A harder ladder acts on what is done after it, and on nothing that was punished.
func TestAVoteOnTheLadderDoesNotReachBack(t *testing.T) {
	c := newCourt(t, judged(), 5)
	id := c.g.Nodes[2].ID
	lie := Fault{Node: id, Kind: Lie, Epoch: 0, Round: 1}
	sign := DoubleSign{Node: c.g.Nodes[3].ID, Height: 1, Power: 1}
	c.vote(Vote{Changes: []ParamChange{{Name: "ladder.lie_slash", Value: 5000}, {Name: "ladder.lie_most", Value: 5000}, {Name: "ladder.double_sign", Value: 5000}, {Name: "ladder.fail_slash_2", Value: 4000}}}, 0, 1, 2, 3, 4)
	c.epoch(lie) // the votes are carried at its end
	if s := c.statement(0, id); s.Verdict.Bps != 100 {
		t.Fatalf("%+v", s.Verdict)
	}
	if _, err := c.l.Run(Block{DoubleSigns: []DoubleSign{sign}}); err != nil {
		t.Fatal(err)
	}
	c.epoch(lie) // 1: before the new ladder acts
	first := c.statement(1, sign.Node)
	if first.Cut.Total() == 0 || first.DoubleSlash != 900 { // (3/10)^2
		t.Fatalf("%+v", first)
	}
	if p := c.rules().Params.Staking.Ladder; p.DoubleSign != 5000 || p.LieSlash != 5000 {
		t.Fatalf("%+v", p)
	}
	if _, err := c.l.Run(Block{DoubleSigns: []DoubleSign{sign}}); err != nil {
		t.Fatal(err)
	}
	c.epoch(lie) // 2: both proofs once more
	for _, id := range []staking.NodeID{id, sign.Node} {
		if s := c.statement(2, id); s.Cut.Total() != 0 {
			t.Errorf("what was punished before the vote costs %s more: %+v", s.Cut.Total(), s.Verdict)
		}
	}
}

// Records of an epoch are written when the next one begins. A history of one epoch would
// forget them in the same block, so that no statement could ever have been explained.
func TestNoVoteForgetsAnEpochBeforeItCanBeExplained(t *testing.T) {
	c := newCourt(t, judged(), 5)
	for _, epochs := range []uint64{0, 1} {
		c.refusedWith(ErrVote, c.try(c.users[0], Vote{Node: c.g.Nodes[0].ID, Changes: []ParamChange{{Name: "history_epochs", Value: epochs}}}))
	}
	c.vote(Vote{Changes: []ParamChange{{Name: "history_epochs", Value: 2}}}, 0, 1, 2, 3, 4)
	for epoch := range unit.Epoch(5) {
		c.epoch()
		c.statement(epoch, c.g.Nodes[0].ID)
	}
}
