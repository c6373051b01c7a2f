package explain

import (
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// records is the ledger's records of one node at the end of one epoch.
type records struct {
	epoch unit.Epoch
	id    staking.NodeID
	s     ledger.Statement
	t     ledger.Terms
	b     staking.Books
}

// read reads the records of an epoch's end, and bounds them: a view may come from a
// stranger.
func read(v ledger.View, epoch unit.Epoch, id staking.NodeID) (c records, err error) {
	c.epoch, c.id = epoch, id
	head, err := v.Head()
	if err != nil {
		return c, err
	}
	if epoch >= head.Epoch {
		return c, fmt.Errorf("epoch %d: %w: pay and slashes are settled at its end, now is epoch %d", epoch, ErrNoRecord, head.Epoch)
	}
	if _, known, err := v.Node(id); err != nil || !known {
		if err == nil {
			err = fmt.Errorf("node %s: %w", id, ledger.ErrUnknownNode)
		}
		return c, err
	}
	var found [3]bool
	if c.s, found[0], err = v.Statement(epoch, id); err != nil {
		return c, err
	}
	if c.t, found[1], err = v.Terms(epoch); err != nil {
		return c, err
	}
	if c.b, found[2], err = v.Books(epoch); err != nil {
		return c, err
	}
	if found != [3]bool{true, true, true} {
		p, err := v.Params()
		if err != nil {
			return c, err
		}
		return c, fmt.Errorf("node %s in epoch %d: %w: it had no shards and nothing held back then, or it is longer ago than %d epochs", id, epoch, ErrNoRecord, p.HistoryEpochs)
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("node %s in epoch %d: records that cannot be: %w", id, epoch, err)
	}
	return c, nil
}

// check refuses records by which a sum could overflow.
func (c records) check() error {
	p := staking.Default()
	p.Pay, p.Ladder = c.t.Pay, c.t.Ladder
	if err := p.Validate(); err != nil {
		return err
	}
	s, b := c.s, c.b
	const most = 1 << 40 // shard-rounds
	for _, n := range []uint64{c.t.Shards, b.Tallied, b.Judged, b.Rounds, b.Shares, s.Credit.Assigned, s.Credit.Passed, s.Credit.Judged,
		s.Credit.Proven, s.Credit.Failed, s.Credit.Away, s.Past.Judged, s.Past.Proven, s.Past.Rounds, s.Past.Owed.Assigned, s.Past.Owed.Passed,
		s.Past.Owed.Judged, s.Past.Owed.Proven, s.Past.Owed.Failed, s.Past.Owed.Away, s.DoublePower, s.Lies, s.RecentLies, s.FalseVotes, s.Finders} {
		if n > most {
			return fmt.Errorf("a count of %d", n)
		}
	}
	for _, bps := range []unit.Bps{s.CommissionBps, s.HoldBps, s.DoubleSlash, s.DoubleTaken, s.Verdict.Bps} {
		if bps > unit.Whole {
			return fmt.Errorf("%d/10000 is more than everything", bps)
		}
	}
	if c.t.Shards == 0 || s.Credit.Passed > s.Credit.Assigned || b.Shares > 0 && s.Credit.Passed > b.Shares {
		return fmt.Errorf("%d of %d shard-rounds passed, of %d in all", s.Credit.Passed, s.Credit.Assigned, b.Shares)
	}
	for _, sum := range [][]token.Amount{
		{b.Bucket, b.Subsidy, b.Carry}, {s.AtRisk.Bond, s.AtRisk.Balance}, {s.Weight.Bond, s.Weight.Balance, s.Payment.Delegators},
		{s.Reward, s.Released, s.HeldBefore}, {s.Due[0], s.Due[1], s.Lost}, {s.Cut.Bond, s.Cut.Balance},
	} {
		if _, err := addUp(sum...); err != nil {
			return fmt.Errorf("sum of %v: %w", sum, err)
		}
	}
	return nil
}
