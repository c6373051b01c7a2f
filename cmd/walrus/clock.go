package main

import "time"

// time is when the ledger's newest block was made.
func (n now) time() time.Time { return time.UnixMilli(n.head.TimeMs) }

// age is how old the ledger's newest block is.
func (n now) age() time.Duration { return max(0, time.Since(n.time())) }

// begins is about when an epoch begins, if blocks come as they should from now on.
func (n now) begins(epoch uint64) time.Time {
	if epoch <= n.head.Epoch {
		return n.time()
	}
	blocks := n.head.EpochEnd + 1 - n.head.Height + (epoch-n.head.Epoch-1)*n.params.EpochBlocks()
	return time.Now().Add(time.Duration(blocks*n.params.BlockMs) * time.Millisecond)
}

// still says that the ledger has made no block for much longer than it should.
func (n now) still() bool {
	const blocks, slack = 10, 5 * time.Second
	return n.age() > slack+time.Duration(blocks*n.params.BlockMs)*time.Millisecond
}
