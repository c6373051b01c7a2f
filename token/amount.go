package token

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/unit"
)

// Amount is a number of FROST. 1 WAL = 10^9 FROST.
type Amount uint64

// WAL is one WAL in FROST.
const WAL Amount = 1_000_000_000

// ErrOverflow is returned where a sum or product does not fit, or a difference is negative.
var ErrOverflow = errors.New("amount out of range")

// Add is a + b.
func (a Amount) Add(b Amount) (Amount, error) {
	sum, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry != 0 {
		return 0, ErrOverflow
	}
	return Amount(sum), nil
}

// Sub is a - b.
func (a Amount) Sub(b Amount) (Amount, error) {
	if b > a {
		return 0, ErrOverflow
	}
	return a - b, nil
}

// Mul is a * n.
func (a Amount) Mul(n uint64) (Amount, error) {
	hi, lo := bits.Mul64(uint64(a), n)
	if hi != 0 {
		return 0, ErrOverflow
	}
	return Amount(lo), nil
}

// MulDiv is floor(a * num / den), with the product in 128 bits.
func (a Amount) MulDiv(num, den uint64) (Amount, error) {
	hi, lo := bits.Mul64(uint64(a), num)
	if den == 0 || hi >= den {
		return 0, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, den)
	return Amount(q), nil
}

// MulDivUp is ceil(a * num / den).
func (a Amount) MulDivUp(num, den uint64) (Amount, error) {
	hi, lo := bits.Mul64(uint64(a), num)
	if den == 0 || hi >= den {
		return 0, ErrOverflow
	}
	q, r := bits.Div64(hi, lo, den)
	if r == 0 {
		return Amount(q), nil
	}
	return Amount(q).Add(1)
}

// Part is a part of the amount, rounded down, and at most all of it.
func (a Amount) Part(b unit.Bps) Amount {
	hi, lo := bits.Mul64(uint64(a), uint64(min(b, unit.Whole)))
	q, _ := bits.Div64(hi, lo, unit.Whole) // hi < Whole: no more than a comes out
	return Amount(q)
}

// PartUp is a part of the amount, rounded up, and at most all of it.
func (a Amount) PartUp(b unit.Bps) Amount { return a - a.Part(unit.Whole-min(b, unit.Whole)) }

// String writes whole and decimal WAL: 1.5WAL, 0.000000001WAL.
func (a Amount) String() string {
	whole, part := a/WAL, a%WAL
	if part == 0 {
		return fmt.Sprintf("%dWAL", whole)
	}
	return fmt.Sprintf("%d.%sWAL", whole, strings.TrimRight(fmt.Sprintf("%09d", part), "0"))
}

// MarshalText and UnmarshalText make an amount its text form in JSON and TOML: a
// number there would be read as WAL by one and as FROST by another.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the text form.
func (a *Amount) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAmount(string(b))
	return err
}

// ParseAmount reads 1.5WAL or 1500000000FROST. A bare number is refused: no owner shall
// lose money to a unit that was guessed.
func ParseAmount(s string) (Amount, error) {
	fail := func(why string) (Amount, error) {
		return 0, fmt.Errorf("amount %q: %s (write it as 1.5WAL or 1500000000FROST)", s, why)
	}
	if digits, unit := cutUnit(s); strings.EqualFold(unit, "FROST") {
		n, err := number.Count(digits)
		if err != nil {
			return fail("not a whole number of FROST")
		}
		return Amount(n), nil
	} else if !strings.EqualFold(unit, "WAL") {
		return fail("no unit")
	}
	digits := s[:len(s)-len("WAL")]
	whole, part, dotted := strings.Cut(digits, ".")
	if len(part) > 9 {
		return fail("finer than one FROST")
	}
	if dotted && part == "" {
		return fail("nothing after the point")
	}
	w, err := number.Count(whole)
	if err != nil {
		return fail("not a number")
	}
	p, err := number.Scaled("0."+part+"0", 10) // a part may be empty
	if err != nil {
		return fail("not a number")
	}
	p /= 10
	total, err := WAL.Mul(w)
	if err == nil {
		total, err = total.Add(Amount(p))
	}
	if err != nil {
		return fail("larger than any supply")
	}
	return total, nil
}

// cutUnit parts a number from the letters after it.
func cutUnit(s string) (digits, unit string) {
	i := len(s)
	for i > 0 && (s[i-1] >= 'a' && s[i-1] <= 'z' || s[i-1] >= 'A' && s[i-1] <= 'Z') {
		i--
	}
	return s[:i], s[i:]
}
