package testnet

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Grinder is lazy, and uses its turns to propose so that it is not asked for what it
// dropped. In the blocks before the draw it leaves out as many reveals of others as a
// block may lack. In the block of the draw it works out what would be drawn, with all
// reveals and without one that is new, and passes its turn if it likes none of these.
//
// Reveals come in three blocks of three proposers, so that it keeps nobody's off the
// ledger; what follows from its own part it learns only when the turn is its own, and
// to pass that leaves the draw to another, whose part it does not know. So it has one
// more draw in the few rounds in which the block of the draw is its own, loses the
// block, and fails like any other who is lazy.
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
	seen := revealsOf(p, len(c.Holder))
	if len(seen) == 0 {
		return comet.Choice{}
	}
	if !p.Wants.Last {
		return comet.Choice{LeaveOut: spare(p, c, seen)}
	}
	choices := []comet.Choice{{}}
	for i, n := range c.Nodes {
		_, has := seen[n.ID]
		if has && !slices.ContainsFunc(state.Reveals, func(r ledger.Revealed) bool { return int(r.Node) == i }) {
			choices = append(choices, comet.Choice{LeaveOut: []staking.NodeID{n.ID}})
		}
	}
	for _, choice := range choices {
		if draws, err := foresee(p, state, c, seen, choice); err == nil && g.likes(draws, c.Duty(p.Self), len(c.Holder)) {
			return choice
		}
	}
	return comet.Choice{Pass: true}
}

// revealsOf is the reveals that a proposer has seen.
func revealsOf(p comet.Proposing, shards int) map[staking.NodeID]token.BLSSignature {
	out := map[staking.NodeID]token.BLSSignature{}
	for _, v := range p.Seen {
		if e, err := challenge.DecodeExtension(v.Extension, shards); err == nil && e.Reveal != nil {
			out[v.Node] = e.Reveal.Signature
		}
	}
	return out
}

// spare is whose reveals a block can do without: extensions of more than two thirds of
// the power must stay.
func spare(p comet.Proposing, c ledger.Committee, seen map[staking.NodeID]token.BLSSignature) (out []staking.NodeID) {
	total, left := int64(0), int64(0)
	for _, n := range c.Nodes {
		total += int64(n.Power)
	}
	for _, v := range p.Seen {
		left += v.Power
	}
	for _, v := range p.Seen {
		if _, reveals := seen[v.Node]; reveals && v.Node != p.Self && 3*(left-v.Power) > 2*total {
			out, left = append(out, v.Node), left-v.Power
		}
	}
	return out
}

// foreseeBeacon is the beacon of the block.
func foreseeBeacon(p comet.Proposing, state ledger.RoundState, c ledger.Committee, seen map[staking.NodeID]token.BLSSignature, choice comet.Choice) (out challenge.Beacon, err error) {
	signatures := map[int]token.BLSSignature{}
	for id, s := range seen {
		if i, in := c.Index(id); in && !slices.Contains(choice.LeaveOut, id) {
			signatures[i] = s
		}
	}
	for _, r := range state.Reveals {
		signatures[int(r.Node)] = r.Signature
	}
	bitmap, list := make([]byte, (len(c.Nodes)+7)/8), []token.BLSSignature(nil)
	for i, s := range signatures {
		bitmap[i/8] |= 1 << (i % 8)
		list = append(list, s)
	}
	aggregate, err := token.AggregateBLS(list)
	if err != nil {
		return out, err
	}
	before, err := p.Before.Beacon()
	if err != nil {
		return out, err
	}
	return challenge.NextBeacon(before, state.Round, bitmap, aggregate, p.Last), nil
}

// foresee is what would be drawn.
func foresee(p comet.Proposing, state ledger.RoundState, c ledger.Committee, seen map[staking.NodeID]token.BLSSignature, choice comet.Choice) ([]challenge.Draw, error) {
	beacon, err := foreseeBeacon(p, state, c, seen, choice)
	if err != nil {
		return nil, err
	}
	index := challenge.NewIndex()
	if err := p.Before.EachSlot(func(i int, s challenge.Slot) error { index.Set(i, s); return nil }); err != nil {
		return nil, err
	}
	params, err := p.Before.Params()
	if err != nil {
		return nil, err
	}
	stripes := func(id blob.ID) (int, bool) {
		e, ok, err := p.Before.Blob(id)
		if err != nil || !ok || !e.Certified() || e.Invalid {
			return 0, false
		}
		l, err := e.Manifest.Layout()
		return l.Stripes, err == nil
	}
	return challenge.DrawRound(params.Challenge, beacon, index, stripes), nil
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
