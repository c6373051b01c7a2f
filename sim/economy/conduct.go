package economy

import (
	"math/rand/v2"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/staking"
)

// drawOffset is the block of the draw - challenge.Params.Start, in every round: a block
// within the range of the draw. Outages come at any time, so that only the distance from
// the draw to the deadline matters.
const drawOffset = 50

// challengeTimes holds the numbers of a real network's challenges that a node's conduct depends on.
type challengeTimes struct {
	drawn float64 // block of the draw / blocks of a round
	due   float64 // block of the deadline / blocks of a round
	mute  int     // rounds, after one in which a node was away, in which it is away too
}

func realTiming() challengeTimes {
	p, blocks := challenge.Default(), float64(ledger.Default().RoundBlocks)
	drawn := p.Start + drawOffset
	return challengeTimes{drawn: float64(drawn) / blocks, due: float64(drawn+p.Deadline) / blocks, mute: int(p.UncreditedFor)}
}

// conduct is one node's, round by round.
type conduct struct {
	challengeTimes
	own    *outages
	zone   *outages // nil: none
	caught float64  // probability that a shard fails a round for its dropped fragments
	random *rand.Rand
	muted  int  // further rounds in which the node counts as away
	away   bool // the node was offline when the last round was drawn
	all    staking.Outcome
}

// Purposes of streams of random numbers. Each node has its own streams: one node's conduct
// changes nothing for another, and its drops do not change its outages.
const (
	streamOutages = iota
	streamDraws
	streamZones
	streamMoney
	streamMoves
)

// conducts are all nodes', by number.
func (o Options) conducts() []*conduct {
	zones := make([]*outages, o.Zones)
	for z := range zones {
		zones[z] = newOutages(o.Outages, o.ZoneUptime, sim.Stream(o.Seed, streamZones, z))
	}
	when := realTiming()
	out := make([]*conduct, o.Nodes)
	for i := range out {
		out[i] = &conduct{
			challengeTimes: when, own: newOutages(o.Outages, o.Uptime[i], sim.Stream(o.Seed, streamOutages, i)),
			caught: sim.Detection(o.Drop[i]), random: sim.Stream(o.Seed, streamDraws, i),
		}
		if o.Zones > 0 {
			out[i].zone = zones[i%o.Zones]
		}
	}
	return out
}

// begin settles a round's outcome for the node as a whole. A node that is offline at the
// draw is away, in this and in the next rounds. A node that leaves between the draw and the
// deadline has failed: it was there and declared no loss. A real network is milder: there a
// node proves within seconds, or when it is back before the deadline.
func (c *conduct) begin(round int) {
	drawn, due := float64(round)+c.drawn, float64(round)+c.due
	away, crashes := c.own.down(drawn, due)
	if c.zone != nil {
		a, b := c.zone.down(drawn, due)
		away, crashes = away || a, crashes || b
	}
	c.away = away
	switch {
	case away:
		c.muted, c.all = c.mute, staking.Away
	case c.muted > 0:
		c.muted--
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
