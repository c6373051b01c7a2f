package ledger

import (
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// away notes that a node is away until a round, that one included.
func (x *exec) away(id staking.NodeID, until unit.Ordinal) {
	before, _, err := read[unit.Ordinal](x.view(), "round of absence", KeyMissed(id))
	x.put(KeyMissed(id), max(sure(before, err), until))
}

// lately says that a node was not away in any of the rounds before that count for the round
// with this ordinal.
func (x *exec) lately(id staking.NodeID, ordinal unit.Ordinal) bool {
	until, ever, err := read[unit.Ordinal](x.view(), "round of absence", KeyMissed(id))
	return !sure(ever, err) || until < ordinal
}
