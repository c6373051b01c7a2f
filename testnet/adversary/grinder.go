package adversary

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
)

// Grinder is lazy, and uses its turns so that it is not asked for what it dropped. In the
// blocks before the draw it leaves out as many reveals and closers' signatures of others
// as a block may lack. Where it is the last closer it works out what would be drawn with
// its signature and without, and is silent if it likes that better.
//
// What it leaves out comes with the next block. What it does as a proposer, or as a
// closer before the last, it does blindly, as parts of others are still to come. As the
// last closer it has one more draw, and each time that it takes it the network counts it
// away for as long as a tenth of all shards has in one round: it fails like any other who
// is lazy.
type Grinder struct {
	Lazy
}

// Conduct is how such a node acts.
func (g Grinder) Conduct() node.Conduct {
	c := g.Lazy.Conduct()
	c.Choose = g.choose
	return c
}

func (g Grinder) choose(p comet.Proposing) comet.Choice {
	state, known, err := p.Before.Round()
	if err != nil || !known {
		return comet.Choice{}
	}
	c, err := p.Before.Committee(state.Round.Epoch)
	if err != nil {
		return comet.Choice{}
	}
	if !p.Closes {
		return comet.Choice{LeaveOut: spare(p, c, partsOf(p, len(c.Holder)))}
	}
	if state.Turn+1 != uint64(len(state.Closers)) {
		return comet.Choice{} // whatever it does, it does not know what becomes of it
	}
	likes := func(b challenge.Beacon) bool {
		draws, err := foresee(p, b)
		return err == nil && g.likes(draws, c.Duty(p.Self), len(c.Holder))
	}
	signed := challenge.Close(state.Beacon, state.Turn, p.Last)
	return comet.Choice{Pass: !likes(signed) && likes(state.Beacon)}
}

// partsOf is whose parts of a beacon a proposer has seen.
func partsOf(p comet.Proposing, shards int) map[staking.NodeID]bool {
	out := map[staking.NodeID]bool{}
	for _, v := range p.Seen {
		if e, err := challenge.DecodeExtension(v.Extension, shards); err == nil && (e.Reveal != nil || e.Closing != nil) {
			out[v.Node] = true
		}
	}
	return out
}

// spare is whose parts of a beacon a block can do without: extensions of more than two thirds of
// the power must stay.
func spare(p comet.Proposing, c ledger.Committee, seen map[staking.NodeID]bool) (out []staking.NodeID) {
	total, left := int64(0), int64(0)
	for _, n := range c.Nodes {
		total += int64(n.Power)
	}
	for _, v := range p.Seen {
		left += v.Power
	}
	for _, v := range p.Seen {
		if seen[v.Node] && v.Node != p.Self && 3*(left-v.Power) > 2*total {
			out, left = append(out, v.Node), left-v.Power
		}
	}
	return out
}

// foresee is what a beacon would draw.
func foresee(p comet.Proposing, beacon challenge.Beacon) ([]challenge.Draw, error) {
	index := challenge.NewIndex()
	if err := p.Before.EachSlot(func(i int, s challenge.Slot) error { index.Set(i, s); return nil }); err != nil {
		return nil, err
	}
	params, err := p.Before.Params()
	if err != nil {
		return nil, err
	}
	return challenge.DrawRound(params.Challenge, beacon, index, func(int) bool { return false }), nil
}

// likes says that nothing is drawn that it has dropped.
func (g Grinder) likes(draws []challenge.Draw, own []blob.Shard, shards int) bool {
	keeps := g.Lazy.Conduct().Keeps
	for _, d := range draws {
		for _, s := range own {
			if !keeps(d.Blob, d.Blob.PlaceOf(s, shards)) {
				return false
			}
		}
	}
	return true
}
