package unit

import (
	"fmt"
	"strings"
)

// Bps is a part of a whole in basis points, 1/10000. What a part of an amount of money is,
// and how it is rounded, says package token.
type Bps uint64

// Whole is the scale of all parts: 10000 bps are everything.
const Whole = 10_000

// Percent writes the part as people do, exactly: 2.75%.
func (b Bps) Percent() string {
	text := fmt.Sprintf("%d.%02d", b/100, b%100)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}
