package staking

// whole is everything, in 1/10000.
const whole = 10_000

// DoubleSignBps is how much of its stake a node loses for signing two blocks at one
// height, in 1/10000 rounded down: max(DoubleSignBps, 10000 x min(1, (3k/N)^2)).
// power is k, what signed twice within two epochs together with the node, and
// shards is N. One node's mistake costs little; a third of the power, which is what
// it takes to split the chain, costs everything. It never falls as power rises.
func DoubleSignBps(power, shards int, p Params) uint64 {
	if power <= 0 {
		return p.DoubleSignBps
	}
	k, n := uint64(power), uint64(shards)
	if 3*min(k, n) >= n { // below that, no product outgrows 10000 x N^2
		return whole
	}
	return max(p.DoubleSignBps, whole*9*k*k/(n*n))
}
