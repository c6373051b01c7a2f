package staking

import (
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Books are the money of an epoch that is being closed, before it goes to nodes.
type Books struct {
	_         struct{}     `cbor:",toarray"`
	Bucket    token.Amount // prepaid for the epoch
	Subsidy   token.Amount // added by the network
	Carry     token.Amount // fees, and what the last epoch left over
	Fee       token.Amount // taken of the sum of these
	Insured   token.Amount // of the fee, to the insurance fund
	FeeBurned token.Amount // of the fee
	Tallied   uint64       // rounds that were tallied, void ones too
	Judged    uint64       // of these: not void
	Rounds    uint64       // that the epoch had
	Shares    uint64       // N times the tallied rounds: what the pool is divided by
	Earned    uint64       // of these: paid to nodes
	Unearned  token.Amount // earned by no node
	Repair    token.Amount // of that, to the repair fund
	Burned    token.Amount // of that
	Dust      token.Amount // what rounding left: carried
}

// Pool is what is shared: all money but the fee.
func (b Books) Pool() token.Amount { return must(b.gross().Sub(b.Fee)) }

func (b Books) gross() token.Amount { return mustAdd(mustAdd(b.Bucket, b.Subsidy), b.Carry) }

// TakeFee takes the fee, and splits it: the insurance fund has a ceiling, a part of
// all stake.
func (b *Books) TakeFee(insurance, stake token.Amount, p PayParams) {
	b.Fee = b.gross().Part(p.FeeBps)
	ceiling := stake.Part(p.InsuranceBps)
	b.Insured = min(b.Fee, ceiling-min(ceiling, insurance))
	b.FeeBurned = b.Fee - b.Insured
}

// Reward is what a node with a credit earns: its part of all shard-rounds, so that
// another's failure never raises it; nothing if it proved less than half of its own.
// Count gives the shard-rounds it is paid for.
func (b Books) Reward(c Credit) (r token.Amount, count uint64) {
	if b.Shares == 0 || 2*c.Passed < c.Assigned {
		return 0, 0
	}
	return must(b.Pool().MulDiv(c.Passed, b.Shares)), c.Passed
}

// Close splits what no node earned, after rewards for count shard-rounds came to paid.
// Where nothing was tallied all of it is carried.
func (b *Books) Close(paid token.Amount, count uint64, p PayParams) {
	b.Earned = count
	left := must(b.Pool().Sub(paid))
	if b.Shares > 0 {
		b.Unearned = must(b.Pool().MulDiv(b.Shares-count, b.Shares))
	}
	b.Burned = b.Unearned.Part(p.BurnBps)
	b.Repair = b.Unearned - b.Burned
	b.Dust = must(left.Sub(b.Unearned))
}

// Holding is the part of a reward that is held back from a node that was paid in so
// many epochs before.
func (p PayParams) Holding(paid uint64) unit.Bps {
	if paid < p.FreshEpochs {
		return p.FreshHoldBps
	}
	return p.HoldBps
}
