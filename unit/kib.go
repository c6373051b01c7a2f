package unit

// KiB is an amount of stored data in KiB, of 1024 bytes: what a blob weighs over all shards,
// what a node declares, what a price is for. It is an amount, not a count: amounts are added
// and compared as they are.
type KiB uint64

// KiBOf is how many KiB hold some bytes: the last one counts in full. bytes is not negative.
func KiBOf(bytes int64) KiB { return KiB((bytes + 1023) / 1024) }

// Bytes is the amount in bytes.
func (k KiB) Bytes() uint64 { return uint64(k) * 1024 }

// Share is one of n equal shares that hold the amount together, rounded up.
func (k KiB) Share(n int) KiB { return (k + KiB(n) - 1) / KiB(n) }
