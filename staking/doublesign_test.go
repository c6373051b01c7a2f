package staking

import (
	"math/big"
	"testing"

	"github.com/walrus-network/walrus/unit"
)

func TestADoubleSignCostsMoreTheMorePowerSignedTwice(t *testing.T) {
	ladder := Default().Ladder
	for _, c := range []struct {
		power, shards int
		want          unit.Bps
	}{
		{0, 100, 500}, {-1, 100, 500},
		{1, 100, 500},     // 3 % of the power squared is 9 bps: the least counts
		{7, 100, 500},     // 441
		{8, 100, 576},     // (24/100)^2
		{10, 100, 900},    // (30/100)^2
		{32, 100, 9216},   // (96/100)^2
		{33, 100, 9801},   // (99/100)^2
		{34, 100, 10000},  // more than a third
		{33, 99, 10000},   // a third
		{32, 99, 9403},    // 9216/9801 = 0.940312...
		{100, 100, 10000}, // everybody
		{1 << 40, 100, 10000},
		{1, 4, 5625}, {2, 4, 10000}, // the smallest network
		{333, 1000, 9980}, {334, 1000, 10000}, // (999/1000)^2 = 0.998001
	} {
		if got := ladder.doubleSignBps(c.power, c.shards); got != c.want {
			t.Errorf("k = %d of N = %d: %d bps, want %d", c.power, c.shards, got, c.want)
		}
	}
}

// The formula with fractions that never round, and the order of its values.
func TestTheCostOfADoubleSignIsExactAndNeverFalls(t *testing.T) {
	for _, least := range []unit.Bps{0, 1, 500, 10000} {
		ladder := Default().Ladder
		ladder.DoubleSign = least
		for _, n := range []int{4, 5, 7, 10, 28, 99, 100, 333, 1000} {
			last := unit.Bps(0)
			for k := 0; k <= n+3; k++ {
				part := big.NewRat(int64(3*k), int64(n))
				part.Mul(part, part)
				if one := big.NewRat(1, 1); part.Cmp(one) > 0 {
					part = one
				}
				part.Mul(part, big.NewRat(10000, 1))
				want := max(least, unit.Bps(new(big.Int).Quo(part.Num(), part.Denom()).Uint64()))
				got := ladder.doubleSignBps(k, n)
				if got != want || got < last || got > 10000 {
					t.Fatalf("k = %d of N = %d, at least %d: %d bps, want %d; before it %d", k, n, least, got, want, last)
				}
				last = got
			}
		}
	}
}
