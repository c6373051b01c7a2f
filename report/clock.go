package report

import (
	"time"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// LedgerState names the state of the ledger that an answer was read from.
type LedgerState struct {
	Chain    token.ChainID `json:"chain"`
	Height   unit.Height   `json:"height"`           // block
	Epoch    unit.Epoch    `json:"epoch"`            // of that block
	Time     time.Time     `json:"time"`             // of that block, UTC
	Age      float64       `json:"age_seconds"`      // seconds since Time, by the caller's clock; never below 0
	Still    bool          `json:"still"`            // Age is far above the time of a block
	Notice   string        `json:"notice,omitempty"` // planned rules that this program does not know
	Verified bool          `json:"verified"`         // proven against the genesis, not taken on a node's word
}

// LedgerState is the state that n was read from. The chain and the proof are the
// caller's to know.
func (n Now) LedgerState(chain token.ChainID, verified bool) LedgerState {
	return LedgerState{Chain: chain, Height: n.Head.Height, Epoch: n.Head.Epoch, Time: n.Time().UTC(),
		Age: n.Age().Seconds(), Still: n.Still(), Notice: n.Rules.Notice(), Verified: verified}
}

// Time is the time of the ledger's newest block.
func (n Now) Time() time.Time { return time.UnixMilli(n.Head.TimeMs) }

// Age is the time from the ledger's newest block to the caller's look. It is 0 where the
// caller's clock is behind the ledger's.
func (n Now) Age() time.Duration { return max(0, n.At.Sub(n.Time())) }

// Still says that the ledger has made no block for much longer than a block takes: for
// 10 blocks and 5 seconds.
func (n Now) Still() bool {
	const blocks, slack = 10, 5 * time.Second
	return n.Age() > slack+time.Duration(blocks*n.Params.BlockMs)*time.Millisecond
}

// Begins estimates when an epoch begins: each block from the caller's look on takes its
// nominal time. For the present epoch, and those before, it is the newest block's time.
func (n Now) Begins(epoch unit.Epoch) time.Time {
	if epoch <= n.Head.Epoch {
		return n.Time()
	}
	blocks := (n.Head.EpochEnd + 1).Since(n.Head.Height) + (epoch.Since(n.Head.Epoch)-1)*n.Params.EpochBlocks()
	return n.At.Add(time.Duration(blocks*n.Params.BlockMs) * time.Millisecond)
}

// CountsFrom is the first epoch whose committee is not yet fixed at a height of this
// epoch, or of the next: stake that joins at that height counts from this epoch on.
func (n Now) CountsFrom(height unit.Height) unit.Epoch {
	if height >= n.Head.Middle() {
		return n.Head.Epoch + 2
	}
	return n.Head.Epoch + 1
}
