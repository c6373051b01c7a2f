package sim

import (
	"math"
	"math/rand/v2"

	"github.com/walrus-network/walrus/staking"
)

// What a round of challenges is, in hours and draws. A real round has 1200 blocks; the
// draw is at block 20 to 119, here at 70, and proofs are due 40 blocks later.
const (
	drawnAt    = 70.0 / 1200
	dueAt      = 110.0 / 1200
	draws      = 32 // fragments that a round asks each shard for
	muteRounds = 2  // after one in which it was away, a node is away
)

// Detection is the probability that a round finds out a shard of which a part p of the
// fragments is gone.
func Detection(p float64) float64 { return 1 - math.Pow(1-p, draws) }

// conduct is what one node does, round by round.
type conduct struct {
	own    *outages
	zone   *outages // nil: none
	caught float64  // probability that a shard fails a round for what was dropped
	random *rand.Rand
	mute   int  // rounds for which it counts as away still
	away   bool // it was offline when the last round was drawn
	all    staking.Outcome
}

// Streams of randomness: each node has its own, so that what one does changes nothing
// for another, and what it drops nothing of when it fails.
const (
	streamOutages = iota
	streamDraws
	streamZones
	streamMoney
	streamMoves
)

func stream(seed uint64, what, which int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(what)<<32|uint64(which)))
}

// conducts are those of all nodes.
func (o Options) conducts() []*conduct {
	zones := make([]*outages, o.Zones)
	for z := range zones {
		zones[z] = newOutages(o.Outages, o.ZoneUptime, stream(o.Seed, streamZones, z))
	}
	out := make([]*conduct, o.Nodes)
	for i := range out {
		out[i] = &conduct{
			own:    newOutages(o.Outages, o.Uptime[i], stream(o.Seed, streamOutages, i)),
			caught: Detection(o.Drop[i]), random: stream(o.Seed, streamDraws, i),
		}
		if o.Zones > 0 {
			out[i].zone = zones[i%o.Zones]
		}
	}
	return out
}

// begin settles what a round finds of the node as a whole. A node that is offline when
// the round is drawn is away, in this and in the next rounds. A node that goes between
// the draw and the time by which proofs are due has failed: it was there and had declared
// nothing. That is harder than life, where a proof is out within seconds, and a node that
// is back before the deadline can still prove.
func (c *conduct) begin(round int) {
	drawn, due := float64(round)+drawnAt, float64(round)+dueAt
	away, crashes := c.own.down(drawn, due)
	if c.zone != nil {
		a, b := c.zone.down(drawn, due)
		away, crashes = away || a, crashes || b
	}
	c.away = away
	switch {
	case away:
		c.mute, c.all = muteRounds, staking.Away
	case c.mute > 0:
		c.mute--
		c.all = staking.Away
	case crashes:
		c.all = staking.Failed
	default:
		c.all = staking.Passed
	}
}

// shard is the outcome for one of the node's shards in the round that began last.
func (c *conduct) shard() staking.Outcome {
	if c.all == staking.Passed && c.caught > 0 && c.random.Float64() < c.caught {
		return staking.Failed
	}
	return c.all
}
