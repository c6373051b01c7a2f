package ledger

import (
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
)

// VoteExtension is what a node added to its vote on the last block. The agreement has
// checked whose it is; what it says is the ledger's to judge.
type VoteExtension struct {
	Node      staking.NodeID
	Power     int64
	Extension []byte // see challenge.DecodeExtension
}

// Wants is what a block, and the votes on it, carry for a challenge.
type Wants struct {
	Round  challenge.Round // that the rest is about
	Reveal bool            // votes on this block carry a reveal
	Attest bool            // votes on this block carry an attestation
	Carry  bool            // this block carries the extensions of the votes on the last
	Last   bool            // and its proposer signs challenge.LastMessage
}

// Wants is what the block at a height carries, by the committed state of the one
// before it.
func (m *Machine) Wants(height uint64) (Wants, error) {
	v, err := m.View()
	if err != nil {
		return Wants{}, err
	}
	r, ok, err := v.Round()
	if err != nil || !ok || r.Over {
		return Wants{}, err
	}
	p := m.Rules().Params.Challenge
	w := Wants{Round: r.Round}
	switch {
	case !r.Drawn:
		w.Reveal = height+revealBlocks >= r.T && height <= r.T
		w.Carry = height+revealBlocks > r.T && height <= r.T
		w.Last = height == r.T
	default:
		w.Attest = r.attests(p, height)
		w.Carry = r.attests(p, height-1)
	}
	return w, nil
}
