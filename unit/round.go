package unit

// Round is the number of a round in its epoch, from 0. A count of rounds is a uint64.
type Round uint64

// Ordinal is the number of a round among all rounds of the chain, from 0.
type Ordinal uint64

// Plus is the ordinal n rounds later, or the last that there is.
func (o Ordinal) Plus(n uint64) Ordinal { return Ordinal(plus(uint64(o), n)) }

// Minus is the ordinal n rounds earlier, or the first.
func (o Ordinal) Minus(n uint64) Ordinal { return Ordinal(since(uint64(o), n)) }
