package explain

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Two implementations of an epoch's end are held against each other: the rules settle
// random worlds, and this package works every node's part out again from the records.
// All figures agree to the FROST: those of the statements, and what the pools and the
// funds really gained and lost.
func TestTheRulesAndTheExplainerSettleAlike(t *testing.T) {
	var seen counts
	for seed := range uint64(12) {
		settleRandomWorld(t, seed, &seen)
	}
	t.Logf("%+v", seen)
	if seen.settled < 400 || seen.rewards < 150 || seen.slashes < 60 || seen.bounties < 5 || seen.released < 60 || seen.deferred < 20 || seen.missed < 3 ||
		seen.forfeited < 10 || seen.jailed < 3 || seen.moved < 10 || seen.void < 3 || seen.rungs < 10 {
		t.Errorf("too little happened to show anything: %+v", seen)
	}
}

// counts is the events of the random worlds.
type counts struct {
	settled, rewards, slashes, bounties, released, deferred, missed, forfeited, jailed, moved, void int
	reached                                                                                         [11]bool // by rung
	rungs                                                                                           int
}

func settleRandomWorld(t *testing.T, seed uint64, seen *counts) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	p := judged()
	p.RoundsPerEpoch = 4 + r.Uint64N(5)
	p.Subsidy = token.Amount(r.Uint64N(uint64(50 * token.WAL)))
	pay, ladder := &p.Staking.Pay, &p.Staking.Ladder
	pay.FeeBps, pay.InsuranceBps, pay.BurnBps = unit.Bps(r.Uint64N(1000)), unit.Bps(r.Uint64N(500)), unit.Bps(r.Uint64N(10001))
	pay.HoldBps, pay.FreshHoldBps = unit.Bps(r.Uint64N(5000)), unit.Bps(5000+r.Uint64N(5001))
	pay.FreshEpochs, pay.Tranches = r.Uint64N(4), 1+r.Uint64N(5)
	ladder.BountyBps, ladder.RepairBps = unit.Bps(r.Uint64N(2000)), unit.Bps(r.Uint64N(5000))
	if err := p.Validate(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	c := newWorld(t, p, 5+r.IntN(3))
	for range 14 {
		before := c.playEpoch(r)
		c.compare(seed, before, seen)
	}
}

// poolsBefore is what an epoch's end starts from.
type poolsBefore struct {
	earned map[staking.NodeID]token.Amount
	held   map[staking.NodeID]token.Amount
	supply ledger.Supply
}

// playEpoch runs an epoch of random fates, faults and stakes, and returns the state just
// before its last block.
func (c *world) playEpoch(r *rand.Rand) poolsBefore {
	c.Helper()
	c.pay(1 + token.Amount(r.Uint64N(uint64(2000*token.WAL))))
	for range 1 + r.IntN(2) {
		_ = c.try(c.users[1+r.IntN(2)], ledger.Delegate{Node: c.ID(r.IntN(len(c.Genesis.Nodes))), Amount: 1 + token.Amount(r.Uint64N(uint64(100*token.WAL)))})
	}
	if i := r.IntN(len(c.Genesis.Nodes)); r.IntN(4) == 0 {
		_ = c.try(c.users[0], ledger.Bond{Node: c.ID(i), Amount: token.WAL + token.Amount(r.Uint64N(uint64(50*token.WAL)))})
	}
	var faults []ledger.Fault
	for i := range c.Genesis.Nodes {
		if r.IntN(3) == 0 { // of habit: what it did stays
			delete(c.Fate, c.ID(i))
		} else if r.IntN(3) == 0 {
			c.Fate[c.ID(i)] = staking.Outcome(1 + r.IntN(4))
		}
		if r.IntN(12) == 0 {
			kind := ledger.Lie + ledger.FaultKind(r.IntN(2))
			for round := range unit.Round(1 + r.IntN(3)) {
				f := ledger.Fault{Node: c.ID(i), Kind: kind, Epoch: c.Head().Epoch, Round: round}
				if r.IntN(4) > 0 {
					f.Finder = c.users[1+r.IntN(2)].Address()
				}
				faults = append(faults, f)
			}
		}
	}
	c.Void = r.IntN(6) == 0
	c.Rounds(1+r.IntN(2), faults...)
	if r.IntN(20) == 0 {
		i := r.IntN(len(c.Genesis.Nodes))
		if _, err := c.Ledger.Run(ledger.Block{DoubleSigns: []ledger.DoubleSign{{Node: c.ID(i), Height: c.Head().Height - 1, Power: 1}}}); err != nil {
			c.Fatal(err)
		}
	}
	c.Void = r.IntN(8) == 0
	for h := c.Head(); h.Height < h.EpochEnd; h = c.Head() {
		if c.LastOfRound() {
			if i := c.ID(r.IntN(len(c.Genesis.Nodes))); r.IntN(2) == 0 {
				c.Fate[i] = staking.Outcome(1 + r.IntN(4))
			} else {
				delete(c.Fate, i)
			}
			c.Rounds(1)
			continue
		}
		c.advance()
	}
	out := poolsBefore{earned: map[staking.NodeID]token.Amount{}, held: map[staking.NodeID]token.Amount{}, supply: must(c.View().Supply())}
	for i := range c.Genesis.Nodes {
		pool := c.Pool(c.ID(i))
		out.earned[c.ID(i)], out.held[c.ID(i)] = pool.Earned, pool.Held.Total()
	}
	epoch := c.Head().Epoch
	c.toEpoch(epoch + 1)
	if !must(c.View().TrialBalance()).Balanced() {
		c.Fatal("money was made or lost")
	}
	return out
}

// compare holds the explainer's figures of the epoch that has just ended against the
// ledger's statements, pools and funds.
func (c *world) compare(seed uint64, before poolsBefore, seen *counts) {
	c.Helper()
	epoch := c.Head().Epoch - 1
	books, known, err := c.View().Books(epoch)
	if err != nil || !known {
		c.Fatalf("seed %d, epoch %d: no books: %v", seed, epoch, err)
	}
	if 2*books.Judged < books.Rounds {
		seen.void++
	}
	var repair, burned, paid token.Amount
	for i := range c.Genesis.Nodes {
		id := c.ID(i)
		mine, err := Settle(c.View(), epoch, id)
		if errors.Is(err, ErrNoRecord) {
			continue
		}
		if err != nil {
			c.Fatalf("seed %d, epoch %d, node %d: %v", seed, epoch, i, err)
		}
		s, pool := c.Statement(epoch, id), c.Pool(id)
		theirs := Settlement{Fee: books.Fee, Insured: books.Insured, Pool: books.Pool(), Shares: books.Shares,
			Verdict: s.Verdict, Cut: s.Cut, Left: s.Weight, Bounty: s.Bounty, Repair: s.Repair, Burned: s.Burned,
			Reward: s.Reward, HoldBps: s.HoldBps, Held: s.Held, Forfeited: mine.Forfeited, Released: s.Released, Deferred: s.Deferred, Missed: s.Lost - mine.Forfeited,
			HeldAfter: pool.Held.Total(), Paid: s.Reward - s.Held + s.Released, Payment: s.Payment, Balance: s.Price.Balance}
		if mine != theirs {
			c.Fatalf("seed %d, epoch %d, node %d:\nexplained %+v\nsettled   %+v", seed, epoch, i, mine, theirs)
		}
		if gain := pool.Earned - before.earned[id]; gain != mine.Payment.Commission+mine.Payment.Bond {
			c.Fatalf("seed %d, epoch %d, node %d: the operator's pay grew by %s, explained %+v", seed, epoch, i, gain, mine.Payment)
		}
		if before.held[id] != s.HeldBefore {
			c.Fatalf("seed %d, epoch %d, node %d: %s was held back, the statement begins with %s", seed, epoch, i, before.held[id], s.HeldBefore)
		}
		for _, about := range []func(ledger.View, unit.Epoch, staking.NodeID) (Explanation, error){Reward, Slash} {
			if e, err := about(c.View(), epoch, id); err != nil || !e.Holds {
				c.Fatalf("seed %d, epoch %d, node %d: %v %+v", seed, epoch, i, err, e)
			}
		}
		repair, burned, paid = repair+mine.Repair+mine.Forfeited+mine.Missed, burned+mine.Burned, paid+mine.Reward
		seen.note(mine, s)
	}
	now := must(c.View().Supply())
	if got, want := now.Repair-before.supply.Repair, repair+books.Repair; got != want {
		c.Fatalf("seed %d, epoch %d: the repair fund grew by %s, explained %s", seed, epoch, got, want)
	}
	if got, want := now.Burned-before.supply.Burned, burned+books.FeeBurned+books.Burned; got != want {
		c.Fatalf("seed %d, epoch %d: %s were burned, explained %s", seed, epoch, got, want)
	}
	if got := books.Pool() - books.Unearned - books.Dust; got != paid {
		c.Fatalf("seed %d, epoch %d: the books paid %s, explained %s", seed, epoch, got, paid)
	}
}

func (n *counts) note(mine Settlement, s ledger.Statement) {
	n.settled++
	for _, x := range []struct {
		so    bool
		count *int
	}{{mine.Reward > 0, &n.rewards}, {mine.Cut.Total() > 0, &n.slashes}, {mine.Bounty > 0, &n.bounties}, {mine.Released > 0, &n.released}, {mine.Deferred > 0, &n.deferred},
		{mine.Missed > 0, &n.missed}, {mine.Forfeited > 0, &n.forfeited}, {s.Jailed, &n.jailed}, {mine.Verdict.Move, &n.moved},
		{mine.Verdict.Rung > 0 && !n.reached[mine.Verdict.Rung], &n.rungs}} {
		if x.so {
			*x.count++
		}
	}
	n.reached[mine.Verdict.Rung] = true
}
