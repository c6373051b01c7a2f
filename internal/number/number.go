// Package number reads the numbers that people write: counts, sizes, parts and times.
//
// The promise: a text means one number or none. Digits are the ten of ASCII, a point
// comes before decimals, a unit stands where one is needed, and whatever else is there
// (a comma, a space, a sign, an underscore, an exponent, a leading zero) is refused
// with the right form in the message. What does not fit its type is refused too.
//
// Left to others: which numbers make sense where.
package number

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// largest is the largest size that is read, in bytes: sums of it with any file's size do not overflow.
const largest = 1 << 62

// ErrForm is returned for a text that is no number of the wanted form.
var ErrForm = errors.New("not a number in this form")

// refusal is an ErrForm that says what is wrong and what would be right.
type refusal struct{ text, why, form string }

func (r refusal) Error() string        { return fmt.Sprintf("%q: %s: write it as %s", r.text, r.why, r.form) }
func (r refusal) Is(target error) bool { return target == ErrForm }

// Forms that messages show.
const (
	countForm    = "digits only, like 26"
	decimalForm  = "digits with at most one point, like 0.05"
	sizeForm     = "500GB (10^9), 64MiB (2^20) or 1.5TB, with its unit and no space"
	bytesForm    = "100 (bytes), 64KB or 1.5MiB, without a space"
	durationForm = "500ms, 90s or 1h30m"
)

// Count reads a whole number from 0: 26.
func Count(text string) (uint64, error) {
	if why := faultOf(text, ""); why != "" {
		return 0, refusal{text, why, countForm}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, refusal{text, "larger than any count", countForm}
	}
	return n, nil
}

// Scaled reads a decimal number as a multiple of 10^-places, exactly: 1.5 with two
// places is 150.
func Scaled(text string, places int) (uint64, error) {
	n, why := scaled(text, places)
	if why != "" {
		return 0, refusal{text, why, decimalForm}
	}
	return n, nil
}

// Decimal reads a decimal number from 0: 0.05.
func Decimal(text string) (float64, error) {
	whole, part, dotted := strings.Cut(text, ".")
	why := faultOf(whole, part)
	if why == "" && dotted && part == "" {
		why = "nothing after the point"
	}
	if why != "" {
		return 0, refusal{text, why, decimalForm}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, refusal{text, "out of range", decimalForm}
	}
	return v, nil
}

// units of sizes, in bytes. Mixed spellings like Mb are left out: they mean bits elsewhere.
var units = func() map[string]uint64 {
	out := map[string]uint64{"B": 1, "b": 1, "KB": 1000}
	decimal, binary := uint64(1), uint64(1)
	for _, letter := range []string{"k", "M", "G", "T", "P", "E"} {
		decimal, binary = decimal*1000, binary*1024
		out[letter+"B"], out[strings.ToLower(letter)+"b"] = decimal, decimal
		out[strings.ToUpper(letter)+"iB"], out[strings.ToLower(letter)+"ib"] = binary, binary
	}
	return out
}()

// Size reads a number of bytes above 0 with its unit: 500GB, 1.5TiB.
func Size(text string) (int64, error) {
	n, bare, why := bytesOf(text)
	switch {
	case why == "" && bare:
		why = "no unit"
	case why == "" && n == 0:
		why = "nothing at all"
	}
	if why != "" {
		return 0, refusal{text, why, sizeForm}
	}
	return n, nil
}

// Bytes reads a place in a file or a number of bytes from 0, with a unit or without: 100, 64KiB.
func Bytes(text string) (int64, error) {
	n, _, why := bytesOf(text)
	if why != "" {
		return 0, refusal{text, why, bytesForm}
	}
	return n, nil
}

func bytesOf(text string) (n int64, bare bool, why string) {
	end := strings.LastIndexFunc(text, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' }) + 1
	digits, name := text[:end], text[end:]
	if bare = name == ""; bare && strings.Contains(digits, ".") {
		return 0, bare, faultOr(digits, "a part of a byte, or no unit")
	}
	unit, known := units[name]
	if bare {
		unit = 1
	} else if !known {
		return 0, bare, faultOr(digits, fmt.Sprintf("%q is no unit", name))
	}
	whole, part, dotted := strings.Cut(digits, ".")
	if why := faultOf(whole, part); why != "" {
		return 0, bare, why
	}
	if dotted && part == "" {
		return 0, bare, "nothing after the point"
	}
	const places = 18 // 10^18 fits
	part = strings.TrimRight(part, "0")
	if len(part) > places {
		return 0, bare, "finer than a byte"
	}
	w, err := strconv.ParseUint(whole, 10, 64)
	high, total := bits.Mul64(w, unit)
	if err != nil || high != 0 {
		return 0, bare, "larger than any disk"
	}
	if part != "" {
		p, _ := strconv.ParseUint(part, 10, 64) // 18 digits fit
		scale := uint64(1)
		for range part {
			scale *= 10
		}
		high, low := bits.Mul64(p, unit)
		bytes, rest := bits.Div64(high, low, scale) // p < scale, so that it fits
		if rest != 0 {
			return 0, bare, "not a whole number of bytes"
		}
		var carry uint64
		if total, carry = bits.Add64(total, bytes, 0); carry != 0 {
			return 0, bare, "larger than any disk"
		}
	}
	if total > largest {
		return 0, bare, "larger than any disk"
	}
	return int64(total), bare, ""
}

// scaled is Scaled with the reason in words.
func scaled(text string, places int) (uint64, string) {
	whole, part, dotted := strings.Cut(text, ".")
	if why := faultOf(whole, part); why != "" {
		return 0, why
	}
	if dotted && part == "" {
		return 0, "nothing after the point"
	}
	if len(part) > places {
		return 0, fmt.Sprintf("more than %d decimals", places)
	}
	n, err := strconv.ParseUint(whole+part+strings.Repeat("0", places-len(part)), 10, 64)
	if err != nil {
		return 0, "out of range"
	}
	return n, ""
}

// Duration reads a time from 0 with its units: 500ms, 1h30m.
func Duration(text string) (time.Duration, error) {
	for _, r := range text {
		if !strings.ContainsRune("0123456789.hmnsuµμ", r) {
			return 0, refusal{text, faultOr(text, fmt.Sprintf("%q is out of place", r)), durationForm}
		}
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || badPoint(text):
		return 0, refusal{text, "no time", durationForm}
	case strings.Trim(text, "0") == "":
		return 0, refusal{text, "no unit", durationForm}
	}
	return d, nil
}

// badPoint says whether a point stands without a digit on each side.
func badPoint(text string) bool {
	digit := func(i int) bool { return i >= 0 && i < len(text) && text[i] >= '0' && text[i] <= '9' }
	for i := range text {
		if text[i] == '.' && (!digit(i-1) || !digit(i+1)) {
			return true
		}
	}
	return false
}

// faultOr is what is wrong with the digits of a number, or else why.
func faultOr(digits, why string) string {
	whole, part, _ := strings.Cut(digits, ".")
	if fault := faultOf(whole, part); fault != "" {
		return fault
	}
	return why
}

// faultOf says what keeps the digits before and after a point from being a number.
func faultOf(whole, part string) string {
	both := whole + part
	for _, r := range both {
		switch {
		case r >= '0' && r <= '9':
		case r == ',':
			return "a comma is no decimal point"
		case r == '-':
			return "below 0"
		case r == '.':
			return "more than one point"
		case r == ' ' || r == '\t':
			return "a space in it"
		default:
			return fmt.Sprintf("%q is no digit", r)
		}
	}
	switch {
	case both == "":
		return "no number"
	case whole == "":
		return "nothing before the point"
	case len(whole) > 1 && whole[0] == '0':
		return "it begins with 0"
	}
	return ""
}
