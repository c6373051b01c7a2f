package comet

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Proposing is what a proposer knows who is about to write transaction 0 of its block,
// and could try to make use of.
type Proposing struct {
	Self   staking.NodeID
	Height uint64
	Wants  ledger.Wants
	Seen   []ledger.VoteExtension // of the votes on the last block: all that are fit to be carried
	Last   token.BLSSignature     // its own part of the draw, where Wants.Last says that it follows from this block
	Before ledger.View            // the state before the block
}

// Choice is what a proposer makes of it. An honest one leaves nothing out and never
// passes its turn: the zero Choice.
type Choice struct {
	LeaveOut []staking.NodeID // whose vote's extension is not carried
	Pass     bool             // the block begins with nothing, so that it is refused and the turn is lost
}

// choose leaves out of a list what the proposer chooses to. propose is false where it
// would rather lose its turn.
func (a *app) choose(w ledger.Wants, height int64, l lastVotes, list []signedExtension) (propose bool, err error) {
	if a.chooser == nil {
		return true, nil
	}
	p := Proposing{Self: a.self, Height: uint64(height), Wants: w}
	if p.Before, err = a.machine.ViewAt(p.Height - 1); err != nil {
		return false, err
	}
	if w.Last {
		copy(p.Last[:], a.voice.last(w.Round))
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
