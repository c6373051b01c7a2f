package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Bugs that others had, and that this package is built not to have. Each test names its
// source; those of arithmetic alone are in package staking.

// Stake that was moved to another node in time escaped the slash of the first: ASA-2024-005
// of the Cosmos SDK. Here there is no move: what leaves a node stays slashable with it,
// and what goes elsewhere meanwhile is other money.
func TestMovingStakeElsewhereDoesNotEscapeASlash(t *testing.T) {
	for _, kind := range kindNames {
		if kind == "redelegate" {
			t.Fatal("there is a way to move stake: does it stay slashable?")
		}
	}
	end := func(runs bool) token.Amount {
		p := judged()
		p.Staking.Ladder.LieSlash, p.Staking.Ladder.LieMost = 5000, 5000
		c := newCourt(t, p, 5)
		alice, bad, good := c.users[1], c.g.Nodes[1].ID, c.g.Nodes[2].ID
		c.do(alice, Delegate{Node: bad, Amount: 300 * token.WAL})
		c.toEpoch(1)
		shares := staking.Shares(300 * token.WAL)
		if runs { // she knows what is coming
			c.do(alice, Undelegate{Node: bad, Shares: shares})
			c.do(alice, Delegate{Node: good, Amount: 300 * token.WAL})
		}
		c.epoch(Fault{Node: bad, Kind: Lie, Epoch: 1, Round: 1})
		if !runs {
			c.do(alice, Undelegate{Node: bad, Shares: shares})
		}
		c.toEpoch(c.head().Epoch + 5)
		before := c.account(alice).Balance
		c.do(alice, Withdraw{Node: bad})
		return c.account(alice).Balance + fee - before
	}
	stays, runs := end(false), end(true)
	// Half of 400WAL is slashed, 99 of it from the bond: 101 of 301WAL are the delegators'.
	if want := 199*token.WAL + 300*token.WAL/301; runs > want+token.WAL || stays > want+token.WAL || runs+token.WAL < want {
		t.Errorf("who stays has %s of 300WAL back, who runs %s, want about %s", stays, runs, want)
	}
}

// A bug in the software, not its operators, burned collateral (hostd #768). Here faults
// of one round that name nodes with more than a third of the shards have no effect, and
// a round in which more than a third is missed strikes no node: however long it lasts.
func TestOurOwnBugBurnsNoStake(t *testing.T) {
	c := newCourt(t, judged(), 5)
	stake := func() (sum token.Amount) {
		for _, n := range c.g.Nodes {
			sum += c.pool(n.ID).AtRisk()
		}
		return sum
	}
	before := stake()
	for range 6 {
		var faults []Fault
		for _, n := range c.g.Nodes {
			c.set(n.ID, staking.Failed)
			faults = append(faults, Fault{Node: n.ID, Kind: Lie, Epoch: c.head().Epoch, Round: 3})
		}
		c.epoch(faults...)
	}
	if now := stake(); now != before {
		t.Errorf("%s of stake were burned", before-now)
	}
	for _, n := range c.g.Nodes {
		s, err := c.view().Sanctions(n.ID)
		if r, _, err2 := c.view().Node(n.ID); err != nil || err2 != nil || r.Out || s.Jailed(c.head().Epoch+1) || s.NoNew(c.head().Epoch) {
			t.Errorf("%s is punished: %+v", n.ID, s)
		}
	}
	// A node that fails alone is meant.
	for _, n := range c.g.Nodes[1:] {
		delete(c.fate, n.ID)
	}
	c.epoch()
	if s := c.statement(6, c.g.Nodes[0].ID); s.Cut.Total() == 0 {
		t.Error("nobody is ever slashed: the test shows nothing")
	}
}
