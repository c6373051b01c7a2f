package token

import (
	"math"
	"math/big"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/unit"
)

// A part rounded down and the same part rounded up are the fraction's two neighbours, the
// two parts of a whole are the whole, and no part is more than it.
func TestAPartIsAFractionRounded(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for range 20_000 {
		a, b := Amount(r.Uint64()>>r.Intn(64)), unit.Bps(r.Intn(unit.Whole+1))
		switch r.Intn(8) {
		case 0:
			a = math.MaxUint64
		case 1:
			b = unit.Bps(r.Intn(2)) * unit.Whole
		}
		product := new(big.Int).Mul(new(big.Int).SetUint64(uint64(a)), new(big.Int).SetUint64(uint64(b)))
		q, m := new(big.Int).QuoRem(product, big.NewInt(unit.Whole), new(big.Int))
		down, up := Amount(q.Uint64()), Amount(q.Uint64())
		if m.Sign() > 0 {
			up++
		}
		if got := a.Part(b); got != down {
			t.Fatalf("%d bps of %d: %d, want %d", b, a, got, down)
		}
		if got := a.PartUp(b); got != up {
			t.Fatalf("%d bps of %d, rounded up: %d, want %d", b, a, got, up)
		}
		if a.Part(b)+a.PartUp(unit.Whole-b) != a {
			t.Fatalf("%d: %d bps and the rest are not all of it", a, b)
		}
	}
	for _, a := range []Amount{0, 1, 12_345, math.MaxUint64} {
		for _, more := range []unit.Bps{unit.Whole, unit.Whole + 1, math.MaxUint64} {
			if a.Part(more) != a || a.PartUp(more) != a {
				t.Errorf("%d bps of %d: %d, rounded up %d", more, a, a.Part(more), a.PartUp(more))
			}
		}
	}
}
