package staking

import "github.com/walrus-network/walrus/unit"

// doubleSignBps is how much of its stake a node loses for signing two blocks at one
// height, in 1/10000 rounded down: max(DoubleSign, 10000 x min(1, (3k/N)^2)).
// power is k, what signed twice within two epochs together with the node, and
// shards is N. One node's mistake costs little; a third of the power, which is what
// it takes to split the chain, costs everything. It never falls as power rises.
func (l Ladder) doubleSignBps(power, shards int) unit.Bps {
	if power <= 0 {
		return l.DoubleSign
	}
	k, n := uint64(power), uint64(shards)
	if 3*min(k, n) >= n { // below that, no product outgrows 10000 x N^2
		return unit.Whole
	}
	return max(l.DoubleSign, unit.Bps(unit.Whole*9*k*k/(n*n)))
}

// DoubleSignDue is the whole slash for a double sign, in bps of the original stake, of
// which taken bps were slashed before. The floor DoubleSign applies the first time only:
// after that, only further nodes that signed twice add to the slash, and no vote does.
func (l Ladder) DoubleSignDue(power, shards int, taken unit.Bps) unit.Bps {
	if taken > 0 {
		l.DoubleSign = 0
	}
	return l.doubleSignBps(power, shards)
}

// SlashMore is the slash, in bps of the remaining stake and rounded up, that brings the
// total taken to due bps of the original stake; 0 if that much was taken already.
func SlashMore(due, taken unit.Bps) unit.Bps {
	if due <= taken {
		return 0
	}
	return (unit.Whole*(due-taken) + unit.Whole - 1 - taken) / (unit.Whole - taken)
}
