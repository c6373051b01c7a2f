package ledger

import (
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// saga is a court whose story is told.
type saga struct {
	*court
	*narrator
}

// newSaga is a network of five nodes with 100 WAL of their own each and ten shards, in
// which the numbers of stake are those of a real network and each epoch pays 10 WAL.
func newSaga(t *testing.T, title string, change func(*Params)) saga {
	p := judged()
	p.Staking = staking.Default()
	p.Staking.MinBond = 50 * token.WAL
	p.Subsidy = 10 * token.WAL
	change(&p)
	w := newWorldOf(t, p, 5, func(g *Genesis) { g.Subsidy = 1000 * token.WAL })
	return saga{&court{world: w, fate: map[staking.NodeID]staking.Outcome{}}, w.narrate(title)}
}

// worth is what an account has with a node: what is at work or waits there, and what is
// ready to be drawn.
func (s saga) worth(k token.Key, id staking.NodeID) (there, out token.Amount) {
	s.court.t.Helper()
	v := s.court.view()
	d, _, err := v.Delegation(k.Address(), id)
	ok(s.court.world, d, err)
	pool := s.court.pool(id)
	settled, err := v.Settle(id, &pool, &d)
	ok(s.court.world, settled, err)
	shares := d.Shares
	for _, x := range d.Leaving {
		shares += x.Shares
	}
	there = pool.Rate().Worth(shares)
	for _, j := range d.Joining {
		there += j.Amount
	}
	return there, settled.Out
}

func (s saga) shares(k token.Key, id staking.NodeID) staking.Shares {
	s.court.t.Helper()
	d, _, err := s.court.view().Delegation(k.Address(), id)
	ok(s.court.world, d, err)
	pool := s.court.pool(id)
	settled, err := s.court.view().Settle(id, &pool, &d)
	ok(s.court.world, settled, err)
	return d.Shares
}

// passes is an epoch in which receivers become ready at once.
func (s saga) passes() {
	s.court.t.Helper()
	s.court.allReady()
	s.toNext()
}

// toNext runs what is left of an epoch, and the block of the turn.
func (s saga) toNext() {
	s.court.t.Helper()
	for h := s.court.head(); s.court.head().Height < h.EpochEnd; {
		s.rounds(1)
	}
	s.court.advance(1)
	s.court.balanced()
}

func (s saga) epochNow() unit.Epoch { return s.court.head().Epoch }

// TestTheStoryOfADelegatorsYear is told in testdata/delegator.txt.
func TestTheStoryOfADelegatorsYear(t *testing.T) {
	s := newSaga(t, "A delegator's year", func(*Params) {})
	alice, op, node := s.court.users[1], s.court.users[0], s.court.g.Nodes[1].ID
	const in = 300 * token.WAL
	s.tell("Five nodes keep a small network's data, each with 100WAL of its operator's own at stake and two of the ten shards. Every epoch the network pays 10WAL to those who prove that they have what they should. An epoch is two weeks; a year has 26.")
	s.tell("Alice has money that she does not need for a while. She puts 300WAL behind Ben's node. Ben keeps 10 %% of what his node is paid and shares the rest with those who stand behind it, by how much each has at stake.")

	s.chapter("Epoch 0: the deposit")
	s.court.toMiddle(0)
	s.tries(s.court.try(alice, Delegate{Node: node, Amount: in}), "Alice deposits 300WAL. The epoch is half over, and the next one's shards are given already, by the stake that there was. Her money waits until epoch 2: it would be unfair to be paid for what did not count.")
	s.tries(s.court.try(alice, Withdraw{Node: node}), "She tries at once whether she can have it back.")
	s.shows("Alice has with Ben", in)
	s.narrator.holds("Alice", alice)
	s.toNext()

	s.chapter("Epochs 1 to 8: reward by reward")
	s.tell("From epoch 2 on her money is at work, and Ben's node, with more behind it, is given a third shard. The node is new: of its reward half is held back at first, later a fifth, and paid out in eight parts, as long as it goes on well. That is why the payments grow.")
	last := in
	line := func() {
		epoch := s.epochNow()
		s.passes()
		o := s.court.statement(epoch, node)
		there, out := s.worth(alice, node)
		now := max(there+out, last) // joining costs less than a FROST
		s.row("epoch %2d: %d shards earned %s; paid %s, %s of it to Ben as commission; Alice %s, %s more", epoch, o.Shards, short(o.Reward), short(o.Payment.Commission+o.Payment.Bond+o.Payment.Delegators), short(o.Payment.Commission), short(now), short(now-last))
		last = now
	}
	for s.epochNow() < 8 {
		line()
	}
	s.chapter("Epoch 8: Ben wants more")
	s.tries(s.court.try(op, SetCommission{Node: node, Bps: 3000}), "Ben announces that he will keep 30 %%. A higher commission acts only after 3 epochs, in epoch 11, so that whoever does not agree has the time to leave. A lower one would act with the next epoch.")
	for s.epochNow() < 14 {
		line()
	}
	s.tell("From epoch 11 on Ben takes three tenths, and Alice's part of each payment is smaller by two ninths.")

	s.chapter("Epoch 14: the way out")
	s.tries(s.court.try(alice, Undelegate{Node: node, Shares: s.shares(alice, node)}), "Alice asks for all of it back. Her stake counted for the shards of this epoch, so it stays at risk for what the node does in it, and for 2 epochs more, in which proof of a fault may still come. It becomes money when epoch 17 begins. Until then it goes on earning.")
	s.tries(s.court.try(alice, Withdraw{Node: node}), "She tries to draw it right away.")
	for s.epochNow() < 17 {
		line()
	}
	s.tell("The node gave its third shard back when her stake left: it has moved on to another, and that one is ready.")
	_, out := s.worth(alice, node)
	before := s.court.account(alice).Balance
	s.tries(s.court.try(alice, Withdraw{Node: node}), "Epoch 17: her money is there, and she draws it.")
	got := s.court.account(alice).Balance + fee - before
	if got != out || got <= in {
		t.Fatalf("%s came back of %s", got, out)
	}
	s.shows("came back", got)
	s.shows("it had earned in 15 epochs", got-in)
	bps := must(must((got - in).Mul(26)).MulDiv(10000, 15*uint64(in)))
	s.tell("That would be %d.%02d %% in a year of 26 epochs. The fees of her three transactions that were done, %s each, are not in it.", bps/100, bps%100, fee)
	s.narrator.holds("Alice", alice)
	s.narrator.end("delegator.txt")
}

// TestTheStoryOfAnOperatorThatVanishes is told in testdata/vanished.txt.
func TestTheStoryOfAnOperatorThatVanishes(t *testing.T) {
	s := newSaga(t, "An operator who vanishes", func(*Params) {})
	bob, node := s.court.users[1], s.court.g.Nodes[2].ID
	s.tell("Vera runs one of five nodes, with 100WAL of her own at stake. Bob stands behind her with 200WAL. In each epoch the network pays 10WAL for ten shards; what it pays is held back in part, and comes later if the node goes on well.")
	s.court.do(bob, Delegate{Node: node, Amount: 200 * token.WAL})
	s.toNext()
	s.passes()
	state := func() {
		p := s.court.pool(node)
		there, out := s.worth(bob, node)
		s.shows("shards of Vera's node", len(s.court.committee().Duty(node)))
		s.shows("Vera's own stake", p.OwnBond())
		s.shows("held back of her pay", p.Held.Total())
		s.shows("Bob's part", there+out)
	}
	s.chapter("Epoch 2: she is gone")
	s.tell("For two epochs all went well. Then Vera's machine stops, and nobody answers.")
	state()
	s.court.set(node, staking.Away)
	end := func() Statement {
		s.passes()
		o, _, err := s.court.view().Statement(s.epochNow()-1, node)
		return ok(s.court.world, o, err)
	}
	o := end()
	s.tell("The node is not paid for what it did not prove, and of what was held back %s that were due now move to the end of the line. Nothing is slashed: one bad epoch can happen to anybody.", short(o.Deferred))
	if o.Cut.Total() != 0 || o.Deferred == 0 {
		t.Fatalf("%+v", o)
	}

	s.chapter("Epoch 3: still away")
	o = end()
	if o.Verdict.Rung != 6 || o.Cut.Balance != 0 || o.Lost == 0 {
		t.Fatalf("%+v", o)
	}
	s.tell("Two epochs in a row with more than two thirds of the rounds missed cost a tenth of all that is at stake, %s, and Vera's own stake pays first. All that was held back of her pay, %s, is lost: it goes to the fund that pays for repair. Her shards will be given to others.", short(o.Cut.Total()), short(o.Lost))
	state()

	s.chapter("Epoch 4: Bob leaves")
	s.tries(s.court.try(bob, Undelegate{Node: node, Shares: s.shares(bob, node)}), "Bob asks for his money back. It counted for this epoch, so it stays for 2 more, and is his when epoch 7 begins.")
	for had := len(s.court.committee().Duty(node)); had > 0; {
		e := s.epochNow()
		o = end()
		now := len(s.court.committee().Duty(node))
		s.tell("Epoch %d ends.", e)
		if o.Cut.Total() > 0 {
			s.tell("Vera is still away, and another tenth of what is left is gone: %s of her own stake, %s of the delegators'.", short(o.Cut.Bond), short(o.Cut.Balance))
		}
		if now < had {
			s.tell("A shard moves to another node; only so many move at a time, so that data can follow. The receiver rebuilds it from the others, since Vera does not answer, and says that it is ready.")
		}
		state()
		if had = now; e > 12 {
			t.Fatal("the shards do not move away")
		}
	}

	s.chapter("Epoch %d: nothing is left with her", s.epochNow())
	for s.epochNow() < 7 {
		end()
	}
	if p := s.court.pool(node); s.court.g.Params.Staking.Seated(p) {
		t.Fatal("she would be given shards again")
	}
	_, out := s.worth(bob, node)
	if out == 0 {
		t.Fatal("Bob has nothing to draw")
	}
	s.tries(s.court.try(bob, Withdraw{Node: node}), "Vera's node has no shards, and too little of her own stake to be given new ones: nothing more can be slashed. In epoch 7 Bob draws what is his.")
	s.shows("Bob draws", out)
	s.shows("Vera's own stake", s.court.pool(node).OwnBond())
	a := s.court.balanced()
	s.shows("burned so far", a.Burned)
	s.shows("in the fund for repair", a.Repair)
	s.tell("The data was safe all the time: any four of the ten shards are enough to read it, and never more than three were out of reach.")
	for range 6 {
		end()
		if n := len(s.court.committee().Duty(node)); n != 0 {
			t.Fatalf("she is given %d shards again", n)
		}
	}
	s.narrator.end("vanished.txt")
}

// TestTheStoryOfASlashWhileUnbonding is told in testdata/unbonding.txt.
func TestTheStoryOfASlashWhileUnbonding(t *testing.T) {
	s := newSaga(t, "A slash while unbonding", func(p *Params) { p.Subsidy = 0 })
	carol, dave, erin, op, node := s.court.users[1], s.court.users[2], s.court.users[3], s.court.users[0], s.court.g.Nodes[3].ID
	s.tell("Nora runs one of five nodes, with 100WAL of her own at stake, 1WAL of which she has set aside for good among the delegators'. The others have 400WAL each. Carol and Dave stand behind her with 500WAL each. To keep the sums simple, this network pays nothing but what fees bring in, which is little.")
	for _, other := range s.court.g.Nodes {
		if other.ID != node {
			s.court.do(op, Bond{Node: other.ID, Amount: 300 * token.WAL})
		}
	}
	s.court.do(carol, Delegate{Node: node, Amount: 500 * token.WAL})
	s.court.do(dave, Delegate{Node: node, Amount: 500 * token.WAL})
	s.toNext()
	s.passes()
	parts := func() {
		p := s.court.pool(node)
		s.shows("Nora's own stake", p.OwnBond())
		for _, who := range []struct {
			name string
			key  token.Key
		}{{"Carol", carol}, {"Dave", dave}, {"Erin", erin}} {
			there, out := s.worth(who.key, node)
			s.shows(who.name+"'s part", there+out)
		}
	}

	s.chapter("Epoch 2: one leaves, one comes")
	s.tries(s.court.try(carol, Undelegate{Node: node, Shares: s.shares(carol, node)}), "Carol has heard something and asks for her money back. Her stake counted for this epoch, so it stays until proof of what the node does in it can have come: 2 epochs more. It will be hers in epoch 5.")
	s.tries(s.court.try(op, Unbond{Node: node, Amount: 40 * token.WAL}), "Nora takes out 40WAL of her own, by the same rule.")
	s.court.toMiddle(2)
	s.tries(s.court.try(erin, Delegate{Node: node, Amount: 200 * token.WAL}), "Erin, who has heard nothing, deposits 200WAL after the middle of the epoch. They count from epoch 4 on.")
	parts()
	s.toNext()

	s.chapter("Epoch 3: the proof")
	power := int64(len(s.court.committee().Duty(node)))
	if _, err := s.court.l.Run(Block{DoubleSigns: []DoubleSign{{Node: node, Height: s.court.head().EpochStart - 3, Power: power}}}); err != nil {
		t.Fatal(err)
	}
	s.tell("A block brings the proof that Nora's node signed two different blocks at one height, in epoch 2. That is an attack on the agreement itself, or looks like one. The node is out for good. It held %d of ten shards; the part that is slashed is the square of three times its part of the power.", power)
	s.tries(s.court.try(carol, Withdraw{Node: node}), "Carol tries to draw before it is settled.")
	s.tries(s.court.try(dave, Delegate{Node: node, Amount: token.WAL}), "Dave tries to put more in.")
	atRisk := s.court.pool(node).AtRisk()
	s.toNext()
	o := s.court.statement(3, node)
	if o.DoubleSlash != unit.Bps(900*power*power) || o.Cut.Balance == 0 {
		t.Fatalf("%+v", o)
	}
	s.tell("The epoch ends, and of the %s at stake %s are slashed: first all of Nora's own, the 40WAL on their way out included; what is missing then, %s, comes from the delegators, from each the same part. It makes no difference that Carol had asked before: her stake counted when it was done. Erin's deposit had not begun to count, and is whole; it joins now, at what a share is worth after the slash.", atRisk, o.Cut.Total(), short(o.Cut.Balance))
	parts()
	c, _ := s.worth(carol, node)
	d, _ := s.worth(dave, node)
	e, _ := s.worth(erin, node)
	if c != d || c >= 500*token.WAL || e+1 < 200*token.WAL {
		t.Fatalf("Carol %s, Dave %s, Erin %s", c, d, e)
	}

	s.chapter("Epoch 4: no second time")
	if _, err := s.court.l.Run(Block{DoubleSigns: []DoubleSign{{Node: node, Height: s.court.head().EpochStart - 103, Power: power}}}); err != nil {
		t.Fatal(err)
	}
	s.tell("Somebody shows the same proof again. Nothing happens: each fault is punished once.")
	s.court.do(dave, Undelegate{Node: node, Shares: s.shares(dave, node)})
	s.court.do(erin, Undelegate{Node: node, Shares: s.shares(erin, node)})
	s.tell("Dave and Erin ask for their money back; in the first half of epoch 4, so it is theirs in epoch 7. The node's shards move to the others.")
	s.passes()

	s.chapter("Epochs 5 to 7: the money comes back")
	draw := func(name string, k token.Key) {
		for s.epochNow() < 12 {
			before := s.court.account(k).Balance
			if err := s.court.try(k, Withdraw{Node: node}); err == nil {
				s.shows(fmt.Sprintf("%s draws, in epoch %d", name, s.epochNow()), s.court.account(k).Balance+fee-before)
				return
			}
			s.passes()
		}
		t.Fatalf("%s never has the money back", name)
	}
	draw("Carol", carol)
	draw("Dave", dave)
	draw("Erin", erin)
	s.shows("left of Nora's own", s.court.pool(node).OwnBond())
	a := s.court.balanced()
	s.shows("burned so far", a.Burned)
	s.shows("in the fund for repair", a.Repair)
	s.narrator.end("unbonding.txt")
}
