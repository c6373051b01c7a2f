package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// maxEvidence bounds how many faults a statement lists; the counts beside the list
// leave none out.
const maxEvidence = 16

// Statement is the result of an epoch's end for one node's pay and stake, with all figures
// that are needed to work it out again.
type Statement struct {
	_             struct{} `cbor:",toarray"`
	Shards        uint64   // it had the duty for
	Credit        staking.Credit
	Paid          uint64 // shard-rounds it was paid for
	PaidEpochs    uint64 // in which it had shards before
	Jailed        bool
	Out           bool // expelled, before or at this end
	Verdict       staking.Verdict
	Lies          uint64 // proven in the epoch and not excused
	RecentLies    uint64
	FalseVotes    uint64
	Evidence      []Evidence      // the first of these faults, by epoch and round
	Finders       uint64          // that share the bounty
	DoubleSlash   unit.Bps        // bps that double signing cost it in this epoch
	DoublePower   uint64          // shards that double-signed within two epochs, its own among them
	DoubleTaken   unit.Bps        // bps that it had paid before for that
	AwayBefore    [2]bool         // it had been away that much in the epoch before: see Ladder.AwayBps
	Past          staking.Past    // what its conduct was judged together with
	Late          bool            // not ready for a shard for LateEpochs epochs
	AtRisk        staking.Cut     // bond and balance before the slash
	Cut           staking.Cut     // what the slash took
	Bounty        token.Amount    // of it, to finders
	Repair        token.Amount    // of it, to the repair fund
	Burned        token.Amount    // of it
	Reward        token.Amount    // what its credit earned
	HoldBps       unit.Bps        // part that is held back
	Held          token.Amount    // of the reward
	HeldBefore    token.Amount    // of earlier epochs', before anything was released or lost
	Due           [2]token.Amount // of that, at this end: never missed, and missed once
	Locked        bool            // nothing was released or missed: it keeps shards others are not ready for, or the epoch was not judged
	Released      token.Amount    // of earlier epochs'
	Deferred      token.Amount    // moved to the tail
	Lost          token.Amount    // to the repair fund
	CommissionBps unit.Bps        //
	Weight        staking.Cut     // bond and balance that shared the payment
	Payment       staking.Payment // of Reward - Held + Released
	HeldAfter     token.Amount    // still held back
	Price         staking.Rate    // what shares stand for at the turn
}

// Evidence names a proven fault that a statement counts.
type Evidence struct {
	_      struct{} `cbor:",toarray"`
	Kind   FaultKind
	Epoch  unit.Epoch  // in which it was committed
	Round  unit.Round  // of that epoch
	Height unit.Height // of the block that brought the proof
	Finder token.Address
	Shard  blob.Shard // that it is about
}

// Terms are the numbers by which an epoch was closed, of the rules as they were then.
type Terms struct {
	_         struct{} `cbor:",toarray"`
	Shards    uint64   // N
	Pay       staking.PayParams
	Ladder    staking.Ladder
	Insurance token.Amount // in the fund, before the epoch's fee
	Stake     token.Amount // all that was at risk, after slashes: what bounds the fund
}

// matters says that the statement is worth keeping.
func (o Statement) matters() bool {
	return o.Shards > 0 || o.Verdict.Rung > 0 || o.Released > 0 || o.Deferred > 0 || o.Lost > 0 || o.HeldAfter > 0
}

// note lists the faults that a statement counts.
func (o *Statement) note(faults []foundFault) {
	for _, f := range faults {
		switch f.Kind {
		case Lie:
			o.Lies++
		case FalseVote:
			o.FalseVotes++
		}
		if len(o.Evidence) < maxEvidence {
			o.Evidence = append(o.Evidence, Evidence{Kind: f.Kind, Epoch: f.Epoch, Round: f.Round, Height: f.Height, Finder: f.FaultRecord.Finder, Shard: f.Fault.Shard})
		}
	}
}

// GainOf is what an epoch's pay added to shares of the pool, rounded down, and LossOf
// what its slash took from them, rounded up.
func (o Statement) GainOf(s staking.Shares) token.Amount {
	if o.Price.Shares == 0 {
		return 0
	}
	return must(o.Payment.Delegators.MulDiv(uint64(min(s, o.Price.Shares)), uint64(o.Price.Shares)))
}

// LossOf is what the epoch's slash took from shares of the pool, rounded up.
func (o Statement) LossOf(s staking.Shares) token.Amount {
	if o.Price.Shares == 0 {
		return 0
	}
	return must(o.Cut.Balance.MulDivUp(uint64(min(s, o.Price.Shares)), uint64(o.Price.Shares)))
}

// releases says that a tranche that is due is paid, and not missed.
func (o Statement) releases(p staking.PayParams) bool {
	return o.Credit.Proves(p.ReleaseBps) && !o.Jailed && !o.Verdict.Defer
}
