package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// VoteExtension is what a validator added to its vote on the last block. The agreement
// has checked its signature and its form (challenge.DecodeExtension takes it), and
// nothing of what it says: kind, round and signatures in it are for the block to judge.
type VoteExtension struct {
	Node      staking.NodeID
	Power     int64  // of the node in the vote on the last block, in shards
	Extension []byte // empty: it had nothing to add
}

// Wants is what a block and the votes on it are to carry for the challenges.
type Wants struct {
	Round  challenge.RoundID // that the rest is about
	Reveal bool              // votes on this block carry a reveal for Round
	Attest bool              // votes on this block carry an attestation for Round
	Closer staking.NodeID    // whose vote on this block carries its part of the beacon; zero: no node's
	Turn   uint64            // of Closer
	Carry  bool              // this block begins with the extensions of the votes on the last block
	Last   bool              // and its proposer signs challenge.LastMessage for Round
}

// Wants is what the block of a height is to carry, by the committed state of the height
// before: all its voters know the same. It answers state.ErrHeight where that state is
// not there yet, or not any more.
func (m *Machine) Wants(height unit.Height) (w Wants, err error) {
	v, err := m.ViewAt(height - 1)
	if err != nil {
		return w, fmt.Errorf("what block %d is to carry: %w", height, err)
	}
	r, ok, err := v.Round()
	if err != nil || !ok || r.Over {
		return w, err
	}
	p, err := v.Params()
	if err != nil {
		return w, err
	}
	w.Round = r.Round
	switch opened := r.opened(p.Challenge); {
	case r.Drawn:
		w.Attest = r.attests(p.Challenge, height)
		w.Carry = r.attests(p.Challenge, height-1)
	case !r.Closed: // the block that closes them may be one later than is known now
		w.Reveal = height > opened && height <= r.closes()
		w.Carry = height > opened+1 && height <= r.closes()
		w.Last = height == r.closes()
	case height > r.Since:
		c, err := v.Committee(r.Round.Epoch)
		if err != nil {
			return w, err
		}
		w.Closer, w.Turn = c.Nodes[r.Closers[r.Turn]].ID, r.Turn
		w.Carry = challenge.TurnDue(r.Since, height)
	}
	return w, nil
}
