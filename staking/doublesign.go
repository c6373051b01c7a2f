package staking

// DoubleSignBps is how much of its stake a node loses for signing two blocks at one
// height, in 1/10000 rounded down: max(DoubleSign, 10000 x min(1, (3k/N)^2)).
// power is k, what signed twice within two epochs together with the node, and
// shards is N. One node's mistake costs little; a third of the power, which is what
// it takes to split the chain, costs everything. It never falls as power rises.
func (l Ladder) DoubleSignBps(power, shards int) uint64 {
	if power <= 0 {
		return l.DoubleSign
	}
	k, n := uint64(power), uint64(shards)
	if 3*min(k, n) >= n { // below that, no product outgrows 10000 x N^2
		return whole
	}
	return max(l.DoubleSign, whole*9*k*k/(n*n))
}
