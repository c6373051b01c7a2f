package token

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
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

// ParseAmount reads 1.5WAL or 1500000000FROST. A bare number is refused: nobody
// shall lose money to a unit that was guessed.
func ParseAmount(s string) (Amount, error) {
	fail := func(why string) (Amount, error) {
		return 0, fmt.Errorf("amount %q: %s (write it as 1.5WAL or 1500000000FROST)", s, why)
	}
	upper := strings.ToUpper(strings.TrimSpace(s))
	if digits, ok := strings.CutSuffix(upper, "FROST"); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
		if err != nil {
			return fail("not a whole number of FROST")
		}
		return Amount(n), nil
	}
	digits, ok := strings.CutSuffix(upper, "WAL")
	if !ok {
		return fail("no unit")
	}
	whole, part, dotted := strings.Cut(strings.TrimSpace(digits), ".")
	if len(part) > 9 {
		return fail("finer than one FROST")
	}
	if dotted && part == "" {
		return fail("nothing after the point")
	}
	w, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return fail("not a number")
	}
	p, err := strconv.ParseUint((part + "000000000")[:9], 10, 64)
	if err != nil {
		return fail("not a number")
	}
	total, err := WAL.Mul(w)
	if err == nil {
		total, err = total.Add(Amount(p))
	}
	if err != nil {
		return fail("larger than any supply")
	}
	return total, nil
}
