package staking

import "github.com/walrus-network/walrus/unit"

// Outcome is how a round went for one shard.
type Outcome uint8

// The outcomes of a shard-round.
const (
	Unready      Outcome = iota // its holder is still taking it over: not paid, and no strike
	Passed                      // proven
	Failed                      // not proven, by a holder that was there and had declared nothing
	Away                        // its holder was offline, or had declared a loss
	Inconclusive                // too few saw the proof, too few missed it: not paid, and no strike
)

// RoundResult is how a round went for all shards.
type RoundResult struct {
	Void     bool // no strikes, whatever the outcomes: it cannot be judged
	Outcomes []Outcome
}

// Voids says that so many shards were not proven that the network is to blame, or the
// draw, and not the holders: more than a third.
func (r RoundResult) Voids() bool {
	missed := 0
	for _, o := range r.Outcomes {
		if o == Failed || o == Away || o == Inconclusive {
			missed++
		}
	}
	return r.Void || 3*missed > len(r.Outcomes)
}

// Credit counts one node's shard-rounds in an epoch.
type Credit struct {
	_        struct{} `cbor:",toarray"`
	Assigned uint64   // in all rounds
	Passed   uint64   // of these: what is paid
	Judged   uint64   // in rounds that were not void, for shards the node was ready for
	Proven   uint64   // of these
	Failed   uint64   // of these: undeclared, while it was there
	Away     uint64   // of these: offline or declared
}

// Add counts one shard's round.
func (c *Credit) Add(o Outcome, void bool) {
	c.Assigned++
	if o == Passed {
		c.Passed++
	}
	if void || o == Unready {
		return
	}
	c.Judged++
	switch o {
	case Passed:
		c.Proven++
	case Failed:
		c.Failed++
	case Away:
		c.Away++
	}
}

// TakeBack makes one shard's round that counted as passed an inconclusive one. Void is
// what Add was told of the round.
func (c *Credit) TakeBack(void bool) {
	c.Passed--
	if !void {
		c.Proven--
	}
}

// Proves says whether at least a part of what was judged was proven. A node of which
// nothing was asked has missed nothing.
func (c Credit) Proves(bps unit.Bps) bool { return c.Proven*unit.Whole >= c.Judged*uint64(bps) }

// above says that n is more than a part of what was judged.
func (c Credit) above(n uint64, bps unit.Bps) bool { return n*unit.Whole > c.Judged*uint64(bps) }
