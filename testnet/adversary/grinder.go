package adversary

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
)

// Grinder is lazy, and uses its turns to avoid a draw of the fragments that it dropped. As
// a proposer before the draw it leaves out as many other nodes' reveals and closings as a
// block may lack. As the last closer it computes the draws with its signature and without
// it, and stays silent if only the second spare it.
//
// A part that it leaves out comes with the next block. A proposer, and a closer before the
// last, choose blindly, because other nodes' parts are still to come. The last closer can
// choose between two draws, but silence costs it shard-rounds (challenge.SilentFor): it
// fails like any other lazy node.
type Grinder struct {
	Lazy
}

// Conduct is that of a lazy node, with the grinder's choices as proposer and closer.
func (g Grinder) Conduct() node.Conduct {
	c := g.Lazy.Conduct()
	c.Choose = g.choose
	return c
}

func (g Grinder) choose(p comet.ProposerView) comet.Choice {
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
		return comet.Choice{} // the closers after it decide the beacon
	}
	likes := func(b challenge.Beacon) bool {
		draws, err := foresee(p, b)
		return err == nil && g.likes(draws, c.Duty(p.Self), len(c.Holder))
	}
	signed := challenge.Close(state.Beacon, state.Turn, p.Last)
	return comet.Choice{Pass: !likes(signed) && likes(state.Beacon)}
}

// partsOf returns the nodes whose parts of a beacon a proposer has seen.
func partsOf(p comet.ProposerView, shards int) map[staking.NodeID]bool {
	out := map[staking.NodeID]bool{}
	for _, v := range p.Seen {
		if e, err := challenge.DecodeExtension(v.Extension, shards); err == nil && (e.Reveal != nil || e.Closing != nil) {
			out[v.Node] = true
		}
	}
	return out
}

// spare returns the nodes whose parts of a beacon a block may lack: extensions with more
// than two thirds of the power must stay.
func spare(p comet.ProposerView, c ledger.Committee, seen map[staking.NodeID]bool) (out []staking.NodeID) {
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

// foresee returns the draws of a beacon.
func foresee(p comet.ProposerView, beacon challenge.Beacon) ([]challenge.Draw, error) {
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

// likes reports whether the draws ask for no fragment that the grinder dropped.
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
