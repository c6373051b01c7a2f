package comet

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
)

// A node that catches up may be told to stop at any moment. In CometBFT's own order its
// peers leave first, and a block that is being applied is gone: a nil panic in a
// goroutine, which ends the process.
func TestANodeStopsAtAnyMomentOfCatchingUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.BlockMs = 20
	ctx := within(t)
	c.start(0, 1, 2)
	c.reach(ctx, 0, 60)
	for range testlevel.Repeat(0, 3, 8) {
		c.start(3)
		m := c.members[3].chain
		from := m.machine.Height()
		// Catching up begins some seconds after the start: from then on, at random.
		begun, cancel := context.WithTimeout(ctx, 6*time.Second)
		for m.machine.Height() <= from && begun.Err() == nil {
			select {
			case <-m.Changed():
			case <-begun.Done():
			}
		}
		cancel()
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		c.stop(3)
	}
	c.start(3)
	c.reach(ctx, 3, c.members[0].chain.machine.Height()+1)
}
