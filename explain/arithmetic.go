package explain

import (
	"math/bits"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// addUp is a sum of amounts; an error says that no ledger can hold so much.
func addUp(parts ...token.Amount) (sum token.Amount, err error) {
	for _, p := range parts {
		if sum, err = sum.Add(p); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// down is a x n / d, rounded down, and at most a. Zero of nothing is zero.
func down(a token.Amount, n, d uint64) token.Amount {
	if d == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a), min(n, d))
	q, _ := bits.Div64(hi, lo, d)
	return token.Amount(q)
}

// part is a part of an amount, rounded down.
func part(a token.Amount, b unit.Bps) token.Amount { return down(a, uint64(b), unit.Whole) }

// partUp is a part of an amount, rounded up.
func partUp(a token.Amount, b unit.Bps) token.Amount { return up(a, uint64(b), unit.Whole) }

// up is a x n / d, rounded up, and at most a: all but what the other d - n parts are.
func up(a token.Amount, n, d uint64) token.Amount {
	if d == 0 {
		return 0
	}
	return a - down(a, d-min(n, d), d)
}
