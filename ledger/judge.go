package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
)

// slowTimes bounds the time for proofs: at most slowTimes x the nominal time.
const slowTimes = 3

// judgeRound takes the attestations of a block after the draw, and tallies the round in
// the block with which all attestations are in.
func (x *exec) judgeRound(r *RoundState, c Committee, b Block) {
	p := x.p.Challenge
	r.takeVotes(c, b.Extensions, x.p.Shards)
	if x.head.Height == r.T.Plus(p.Deadline) && b.TimeMs-r.TimeMs > slowTimes*int64(p.Deadline*x.p.BlockMs) {
		r.voidFreeze()
	}
	if x.head.Height == r.T.Plus(p.Second+p.Attest) {
		out := x.tallyRound(c, x.outcomes(*r, c))
		r.end(out)
		x.noteDrawn(*r, out)
	}
}

// outcomes judges a round, shard by shard. Where the blocks came too slowly for the freeze
// to hold, a node may have fetched the symbols it lacks: its proofs show nothing, so every
// shard is inconclusive, no node is paid for the round, and none is struck.
func (x *exec) outcomes(r RoundState, c Committee) staking.RoundResult {
	votes := make([]challenge.Attestation, len(c.Nodes))
	power := 0
	for i, m := range c.Nodes {
		votes[i].Power = m.Power
		power += m.Power
	}
	there := make([]bool, len(c.Nodes))
	for _, one := range r.Reveals {
		there[one.Node] = true
	}
	for _, v := range r.Votes {
		votes[v.Node].Listened, votes[v.Node].Yes = v.Listened, v.Yes
		there[v.Node] = there[v.Node] || v.Listened
	}
	holders := make([]challenge.Holder, len(c.Holder))
	for s, id := range c.Holder {
		i, _ := c.Index(id)
		holders[s] = challenge.Holder{Node: i, Ready: r.Asked(blob.Shard(s)), There: there[i], Lately: x.lately(id, r.Ordinal), Declared: x.declared(id, r.Ordinal)}
	}
	out := challenge.Tally(power, votes, holders)
	out.Void = r.Void
	for s, h := range holders {
		if h.Ready && !h.There && !h.Declared && !challenge.Seen(power, votes, h, blob.Shard(s)) {
			x.away(c.Holder[s], r.Ordinal.Plus(x.p.Challenge.UncreditedFor))
		}
		if r.Void && h.Ready {
			out.Outcomes[s] = staking.Inconclusive
		}
	}
	return out
}
