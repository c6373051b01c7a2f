package ledger

import "github.com/walrus-network/walrus/staking"

// away notes that a node is away until a round, that one included.
func (x *exec) away(id staking.NodeID, until uint64) {
	before, _, err := read[uint64](x.view(), "round of absence", KeyMissed(id))
	x.put(KeyMissed(id), max(sure(before, err), until))
}

// lately says that a node was not away in any of the rounds before that count for the round
// with this ordinal.
func (x *exec) lately(id staking.NodeID, ordinal uint64) bool {
	until, ever, err := read[uint64](x.view(), "round of absence", KeyMissed(id))
	return !sure(ever, err) || until < ordinal
}
