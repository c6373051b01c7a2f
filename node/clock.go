package node

import (
	"context"
	"time"

	"github.com/walrus-network/walrus/unit"
)

const (
	// ClockSlack is the largest difference between the machine's clock and the network's
	// that passes without a warning.
	ClockSlack = time.Minute
	// clockAgain is the least time between two warnings.
	clockAgain = time.Hour
	// clockBlocks is how many blocks, one after the other, must say the same.
	clockBlocks = 4
)

// watchClock tells the operator of a clock that is wrong: leases, rounds and the
// trust in headers are told by the network's time, and by this one.
func (n *Node) watchClock(ctx context.Context) error {
	var watch clockWatch
	var warned time.Time
	for {
		changed := n.ledger.Changed()
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		now := time.Now()
		if !n.ledger.AtTip() {
			watch = clockWatch{} // blocks that are caught up with are old
			continue
		}
		v, err := n.ledger.View(ctx)
		if err != nil {
			continue // the next block will tell
		}
		head, err := v.Head()
		if err != nil {
			continue
		}
		off, sure := watch.see(head.Height, time.UnixMilli(head.TimeMs), now)
		if sure && (warned.IsZero() || now.Sub(warned).Abs() >= clockAgain) {
			warned = now
			n.log.Warn("this machine's clock differs from the network's: set it right (NTP does)", "ahead_by", off.Round(time.Second), "height", head.Height)
		}
	}
}

// clockWatch compares a clock with the times of blocks. The time of a block is when its
// committee voted for the one before: so it is compared with when that one came. After
// a halt the first blocks carry the time of before, and after a pause of this machine all
// that it has missed; the clock is not the cause.
type clockWatch struct {
	height unit.Height // of the last block
	came   time.Time   // when it came, by the clock
	at     time.Time   // its own time
	off    time.Duration
	agree  int // blocks, one after the other, that found the clock off to the same side
}

// see takes note of a block that has just come. Sure says that the clock is off, ahead
// by off; it is behind where that is negative.
func (w *clockWatch) see(height unit.Height, block, now time.Time) (off time.Duration, sure bool) {
	last := *w
	w.height, w.came, w.at = height, now, block
	// Blocks that come quicker than they were made are caught up with, and old.
	if last.height == 0 || height != last.height+1 || now.Sub(last.came) < block.Sub(last.at)/2 {
		w.agree = 0
		return 0, false
	}
	// Round takes the monotonic reading away: it is the clock that people see.
	off = last.came.Round(0).Sub(block)
	if off.Abs() <= ClockSlack || last.agree > 0 && (off > 0) != (last.off > 0) {
		w.agree, w.off = 0, off
		return 0, false
	}
	w.agree, w.off = last.agree+1, off
	return off, w.agree >= clockBlocks
}
