package blob

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// Set is a set of small numbers, in the form in which records and messages carry it:
// number i is bit i mod 8 of byte i/8, so that 0, 2 and 9 of ten numbers are 05 02. How
// many numbers it was made for is not written: a reader knows it from elsewhere, and asks
// Fits about a set from outside.
//
// The zero Set is empty and has room for no number. As with every slice, a copy shares its
// bytes: Clone it before a change of one's own.
type Set[N ~uint16 | ~uint32] []byte

// ShardSet is a set of a network's shards.
type ShardSet = Set[Shard]

// NewSet is a set with room for the numbers 0 to n-1, of which it has members.
func NewSet[N ~uint16 | ~uint32](n int, members ...N) Set[N] {
	s := make(Set[N], SetBytes(n))
	for _, m := range members {
		s.Add(m)
	}
	return s
}

// SetBytes is the length of a set of n numbers.
func SetBytes(n int) int { return (n + 7) / 8 }

// Has says whether a number is in the set. A number for which the set has no room is not.
func (s Set[N]) Has(m N) bool { return int(m/8) < len(s) && s[m/8]>>(m%8)&1 == 1 }

// Add puts a number into the set, which must have room for it.
func (s Set[N]) Add(m N) { s[m/8] |= 1 << (m % 8) }

// Remove takes a number out of the set, which must have room for it.
func (s Set[N]) Remove(m N) { s[m/8] &^= 1 << (m % 8) }

// Len is how many numbers are in the set.
func (s Set[N]) Len() int {
	n := 0
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// All goes through the numbers of the set, the smallest first.
func (s Set[N]) All() iter.Seq[N] {
	return func(yield func(N) bool) {
		for i, b := range s {
			for ; b != 0; b &= b - 1 {
				if !yield(N(8*i + bits.TrailingZeros8(b))) {
					return
				}
			}
		}
	}
}

// Union is a new set of the numbers in either set, as long as the longer one.
func (s Set[N]) Union(t Set[N]) Set[N] {
	out := make(Set[N], max(len(s), len(t)))
	copy(out, s)
	for i, b := range t {
		out[i] |= b
	}
	return out
}

// Fits says whether the set can be one of n numbers: it has their length, and no number
// from n on.
func (s Set[N]) Fits(n int) bool {
	return len(s) == SetBytes(n) && (n%8 == 0 || s[len(s)-1]>>(n%8) == 0)
}

// String is the numbers in order, neighbours as a range: 0-3,7.
func (s Set[N]) String() string {
	var parts []string
	first, last := -1, -1
	end := func() {
		switch {
		case first == last && first >= 0:
			parts = append(parts, fmt.Sprint(first))
		case first >= 0:
			parts = append(parts, fmt.Sprintf("%d-%d", first, last))
		}
	}
	for m := range s.All() {
		if int(m) != last+1 || first < 0 {
			end()
			first = int(m)
		}
		last = int(m)
	}
	end()
	return strings.Join(parts, ",")
}
