package ledger

import (
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Statement says what became of a node's pay and stake at the end of an epoch, with
// all that is needed to work it out again.
type Statement struct {
	_             struct{} `cbor:",toarray"`
	Shards        uint64   // it had the duty for
	Credit        staking.Credit
	Paid          uint64 // shard-rounds it was paid for
	Jailed        bool
	Verdict       staking.Verdict
	Lies          uint64 // proven in the epoch and not excused
	RecentLies    uint64
	FalseVotes    uint64
	DoubleSlash   uint64          // bps that double signing cost it in this epoch
	AwayBefore    [2]bool         // it had been away that much in the epoch before: see Ladder.AwayBps
	Late          bool            // not ready for a shard for LateEpochs epochs
	AtRisk        staking.Cut     // bond and balance before the slash
	Cut           staking.Cut     // what the slash took
	Bounty        token.Amount    // of it, to finders
	Repair        token.Amount    // of it, to the repair fund
	Burned        token.Amount    // of it
	Reward        token.Amount    // what its credit earned
	HoldBps       uint64          // part that is held back
	Held          token.Amount    // of the reward
	Locked        bool            // nothing was released or missed: it keeps shards others are not ready for, or the epoch was not judged
	Released      token.Amount    // of earlier epochs'
	Deferred      token.Amount    // moved to the tail
	Lost          token.Amount    // to the repair fund
	CommissionBps uint64          //
	Weight        staking.Cut     // bond and balance that shared the payment
	Payment       staking.Payment // of Reward - Held + Released
	HeldAfter     token.Amount    // still held back
	Price         staking.Rate    // what shares stand for at the turn
}
