package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// whole is everything, in 1/10000.
const whole = 10000

// closed is what the ledger has on record of one node at the end of one epoch.
type closed struct {
	epoch uint64
	id    staking.NodeID
	s     Statement
	t     Terms
	b     staking.Books
}

// closed reads the records of an epoch's end, and bounds them: a view may come from a
// stranger.
func (v View) closed(epoch uint64, id staking.NodeID) (c closed, err error) {
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
			err = fmt.Errorf("node %s: %w", id, ErrUnknownNode)
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

// check sees to it that nothing can overflow in what is worked out from the records.
func (c closed) check() error {
	p := staking.Default()
	p.Pay, p.Ladder = c.t.Pay, c.t.Ladder
	if err := p.Validate(); err != nil {
		return err
	}
	s, b := c.s, c.b
	const most = 1 << 40 // shard-rounds
	for _, n := range []uint64{c.t.Shards, b.Tallied, b.Judged, b.Rounds, b.Shares, s.Credit.Assigned, s.Credit.Passed, s.Credit.Judged,
		s.Credit.Proven, s.Credit.Failed, s.Credit.Away, s.Lies, s.RecentLies, s.FalseVotes, s.Finders} {
		if n > most {
			return fmt.Errorf("a count of %d", n)
		}
	}
	for _, bps := range []uint64{s.CommissionBps, s.HoldBps, s.DoubleSlash, s.DoubleTaken, s.Verdict.Bps} {
		if bps > whole {
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

func addUp(parts ...token.Amount) (sum token.Amount, err error) {
	for _, p := range parts {
		if sum, err = sum.Add(p); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// got adds a step whose result the ledger has on record too.
func (e *Explanation) got(sum string, result, recorded any, format string, args ...any) {
	text := fmt.Sprint(result)
	if sum != "" {
		text = sum + " = " + text
	}
	e.step(text, format, args...)
	if result != recorded {
		e.same(fmt.Sprintf("the ledger has %v", recorded), false)
	}
}

// percent writes a part in 1/10000 as people do.
func percent(bps uint64) string {
	text := fmt.Sprintf("%d.%02d", bps/100, bps%100)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}

// partOf writes n of m as percent, rounded down.
func partOf(n, m uint64) string {
	if m == 0 {
		return "none were asked for"
	}
	return fmt.Sprintf("%d of %d = %s", n, m, percent(n*whole/m))
}

func times(n uint64, what string) string {
	if n == 1 {
		return "one " + what
	}
	return strconv.FormatUint(n, 10) + " " + what + "s"
}
