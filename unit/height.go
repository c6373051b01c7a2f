package unit

// Height is the number of a block of the chain: the first block has height 1, and 0 is the
// state before it. A count of blocks is a uint64.
type Height uint64

// Plus is the height n blocks later, or the last that there is.
func (h Height) Plus(n uint64) Height { return Height(plus(uint64(h), n)) }

// Minus is the height n blocks earlier, or 0.
func (h Height) Minus(n uint64) Height { return Height(since(uint64(h), n)) }

// Since is how many blocks after an earlier height this is; 0 if it is not after it.
func (h Height) Since(earlier Height) uint64 { return since(uint64(h), uint64(earlier)) }
