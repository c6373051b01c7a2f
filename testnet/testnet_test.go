package testnet

import (
	"testing"
	"time"
)

// A testnet asks for proof wherever its rounds leave nodes that share a machine time.
func TestRoundsLeaveTimeForProofs(t *testing.T) {
	for _, c := range []struct {
		block, epoch   time.Duration
		rounds, blocks uint64
		challenged     bool
	}{
		{500 * time.Millisecond, 10 * time.Minute, 10, 120, true},
		{500 * time.Millisecond, 2 * time.Minute, 2, 120, true},
		{200 * time.Millisecond, time.Minute, 1, 300, false}, // fewer rounds than are kept
		{200 * time.Millisecond, 2 * time.Minute, 3, 200, true},
		{500 * time.Millisecond, 30 * time.Second, 1, 60, false},
		{200 * time.Millisecond, 20 * time.Second, 1, 100, false},
		{3 * time.Second, 14 * 24 * time.Hour, 10, 40320, true},
	} {
		o := Default()
		o.Block, o.Epoch = c.block, c.epoch
		p, err := o.params()
		if err != nil || p.RoundsPerEpoch != c.rounds || p.RoundBlocks != c.blocks || p.Challenged != c.challenged {
			t.Errorf("%s in %s: %d rounds of %d blocks, challenged %t, %v", c.block, c.epoch, p.RoundsPerEpoch, p.RoundBlocks, p.Challenged, err)
		}
		if lasts := time.Duration(p.Challenge.Deadline) * c.block; c.challenged && lasts < proofTime {
			t.Errorf("%s in %s: %s for proofs", c.block, c.epoch, lasts)
		}
	}
}
