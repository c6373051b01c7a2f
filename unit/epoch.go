package unit

import "math"

// Epoch is the number of an epoch, from 0. A count of epochs is a uint64.
type Epoch uint64

// Plus is the epoch n epochs later, or the last that there is.
func (e Epoch) Plus(n uint64) Epoch { return Epoch(plus(uint64(e), n)) }

// Minus is the epoch n epochs earlier, or the first.
func (e Epoch) Minus(n uint64) Epoch { return Epoch(since(uint64(e), n)) }

// Since is how many epochs later than an earlier one this is; 0 if it is not later.
func (e Epoch) Since(earlier Epoch) uint64 { return since(uint64(e), uint64(earlier)) }

func plus(a, n uint64) uint64 {
	if a > math.MaxUint64-n {
		return math.MaxUint64
	}
	return a + n
}

func since(a, earlier uint64) uint64 {
	if a < earlier {
		return 0
	}
	return a - earlier
}
