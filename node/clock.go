package node

import (
	"context"
	"time"
)

const (
	// clockSlack is how far the machine's clock may be from the time of a block that
	// has just come.
	clockSlack = time.Minute
	// clockAgain is the least time between two warnings.
	clockAgain = time.Hour
)

// watchClock tells the operator of a clock that is wrong: leases, rounds and the
// trust in headers are told by the network's time, and by this one.
func (n *Node) watchClock(ctx context.Context) error {
	var warned time.Time
	for {
		changed := n.ledger.Changed()
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		if !n.ledger.AtTip() || time.Since(warned) < clockAgain {
			continue // blocks that are caught up with are old
		}
		v, err := n.ledger.View(ctx)
		if err != nil {
			continue // the next block will tell
		}
		head, err := v.Head()
		if err != nil {
			continue
		}
		if off := clockOff(time.UnixMilli(head.TimeMs), time.Now()); off != 0 {
			warned = time.Now()
			n.log.Warn("this machine's clock differs from the network's: set it right (NTP does)", "ahead_by", off, "height", head.Height)
		}
	}
}

// clockOff is by how much a clock is ahead of a block that has just come; 0 while
// that is within the slack.
func clockOff(block, now time.Time) time.Duration {
	if off := now.Sub(block).Round(time.Second); off.Abs() > clockSlack {
		return off
	}
	return 0
}
