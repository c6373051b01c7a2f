package comet

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ProposerView is what a node knows that is about to write transaction 0 of its block, or to
// sign as a round's closer, and could try to make use of.
type ProposerView struct {
	Self   staking.NodeID
	Height unit.Height
	Wants  ledger.Wants
	Seen   []ledger.VoteExtension // of the votes on the last block: all that are fit to be carried; none for a closer
	Last   token.BLSSignature     // its own part of the beacon, where it is the closer, or Wants.Last asks its block for one
	Closes bool                   // it is the closer
	Before ledger.View            // the state before the block
}

// Choice is what the node makes of it. An honest one leaves nothing out and never passes
// its turn: the zero Choice.
type Choice struct {
	LeaveOut []staking.NodeID // whose vote's extension is not carried
	Pass     bool             // the block begins with nothing, so that it is refused and the turn is lost; a closer stays silent
}

// choose leaves out of a list what the proposer chooses to. propose is false where it
// would rather lose its turn.
func (a *app) choose(w ledger.Wants, height int64, l lastVotes, list []signedExtension) (propose bool, err error) {
	if a.chooser == nil {
		return true, nil
	}
	p := ProposerView{Self: a.self, Height: unit.Height(height), Wants: w}
	if p.Before, err = a.machine.ViewAt(p.Height - 1); err != nil {
		return false, err
	}
	if w.Last {
		copy(p.Last[:], a.extender.last(w.Round))
	}
	for i, e := range list {
		if len(e.Signature) > 0 {
			p.Seen = append(p.Seen, ledger.VoteExtension{Node: l.nodes[i], Power: l.votes[i].Validator.Power, Extension: e.Extension})
		}
	}
	c := a.chooser(p)
	for _, id := range c.LeaveOut {
		for i := range list {
			if l.nodes[i] == id {
				list[i] = signedExtension{}
			}
		}
	}
	return !c.Pass, nil
}

// closing is what a closer adds to its vote: its part of the beacon, or nothing, if it
// would rather be silent.
func (a *app) closing(w ledger.Wants, height unit.Height) ([]byte, error) {
	e := a.extender.closing(w.Round, w.Turn)
	if a.chooser == nil {
		return e.Encode(), nil
	}
	before, err := a.machine.ViewAt(height - 1)
	if err != nil {
		return nil, err
	}
	if a.chooser(ProposerView{Self: a.self, Height: height, Wants: w, Last: e.Closing.Signature, Closes: true, Before: before}).Pass {
		return nil, nil
	}
	return e.Encode(), nil
}
