package explain

import (
	"errors"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Settlement is one node's part in an epoch's end, worked out a second time: from the
// counts, stakes and terms that the ledger has on record, and not from the results beside
// them. The rules and this package share the order of the ladder's numbers and the scale
// of parts; the sums are done here anew.
type Settlement struct {
	Fee     token.Amount // of the whole epoch, taken of bucket, subsidy and carry
	Insured token.Amount // of the fee, to the insurance fund
	Pool    token.Amount // bucket + subsidy + carry - Fee: shared by all nodes
	Shares  uint64       // network's shards x tallied rounds: the parts of the pool

	Verdict staking.Verdict
	Cut     staking.Cut  // slashed: Verdict.Bps of bond and balance, rounded up, the bond first
	Left    staking.Cut  // bond and balance after the slash
	Bounty  token.Amount // of the cut, to the finders of the proofs
	Repair  token.Amount // of the cut, to the repair fund
	Burned  token.Amount // of the cut

	Reward    token.Amount // Pool x passed shard-rounds / Shares
	HoldBps   unit.Bps     // part of the reward that is held back
	Held      token.Amount // of the reward
	Forfeited token.Amount // held back in earlier epochs, and lost by the verdict
	Released  token.Amount // held back in earlier epochs, and paid now
	Deferred  token.Amount // missed for the first time: moved to the last tranche
	Missed    token.Amount // missed for the second time: to the repair fund
	HeldAfter token.Amount // still held back

	Paid    token.Amount    // Reward - Held + Released
	Payment staking.Payment // of Paid
	Balance token.Amount    // of the delegators' shares, afterwards
}

// errTooMuch is returned for records by which more is paid than there was.
var errTooMuch = errors.New("more is released or lost than was held back")

// Settle works out a node's part in the end of an epoch. The error is ErrNoRecord where
// the ledger has no records of it.
func Settle(v ledger.View, epoch unit.Epoch, id staking.NodeID) (Settlement, error) {
	r, err := read(v, epoch, id)
	if err != nil {
		return Settlement{}, err
	}
	return r.settle()
}

// settle needs checked records.
func (r records) settle() (out Settlement, err error) {
	r.pool(&out)
	out.Verdict = climb(r.t.Ladder, r.conduct(), r.s.Past, r.s.AwayBefore)
	out.Left = r.s.AtRisk
	if out.Verdict.Bps > 0 {
		r.slash(&out)
	} else {
		out.Left = r.s.Weight // nothing was at risk of this verdict: the record has no stake before
	}
	r.reward(&out)
	if err := r.tranches(&out); err != nil {
		return out, err
	}
	return out, r.share(&out)
}

// pool is the money of the epoch for all nodes.
func (r records) pool(out *Settlement) {
	b, t := r.b, r.t
	gross, _ := addUp(b.Bucket, b.Subsidy, b.Carry) // Invariant: checked
	out.Shares = t.Shards * b.Tallied
	if b.Tallied > 0 {
		out.Fee = part(gross, t.Pay.FeeBps)
		ceiling := part(t.Stake, t.Pay.InsuranceBps)
		if room := ceiling - min(ceiling, t.Insurance); out.Fee > room {
			out.Insured = room
		} else {
			out.Insured = out.Fee
		}
	}
	out.Pool = gross - out.Fee
}

// slash takes the verdict's part of the stake.
func (r records) slash(out *Settlement) {
	s, l := r.s, r.t.Ladder
	total := partUp(s.AtRisk.Total(), out.Verdict.Bps)
	out.Cut.Bond = min(total, s.AtRisk.Bond)
	out.Cut.Balance = total - out.Cut.Bond
	out.Left = staking.Cut{Bond: s.AtRisk.Bond - out.Cut.Bond, Balance: s.AtRisk.Balance - out.Cut.Balance}
	if s.Finders > 0 {
		bounty := min(part(total, l.BountyBps), l.BountyMost)
		out.Bounty = bounty - bounty%token.Amount(s.Finders) // equal parts
	}
	out.Repair = part(total, l.RepairBps)
	out.Burned = total - out.Bounty - out.Repair
}

// reward is the pay for the shard-rounds that the node passed.
func (r records) reward(out *Settlement) {
	s := r.s
	if !s.Out && !s.Jailed && 2*s.Credit.Passed >= s.Credit.Assigned {
		out.Reward = down(out.Pool, s.Credit.Passed, out.Shares)
	}
	out.HoldBps = r.t.Pay.HoldBps
	if s.PaidEpochs < r.t.Pay.FreshEpochs {
		out.HoldBps = r.t.Pay.FreshHoldBps
	}
	out.Held = part(out.Reward, out.HoldBps)
}

// releases says that the tranche that is due is paid, and not missed.
func (r records) releases(v staking.Verdict) bool {
	k := r.s.Credit
	return k.Proven*unit.Whole >= k.Judged*uint64(r.t.Pay.ReleaseBps) && !r.s.Jailed && !v.Defer
}

// tranches is the fate of the pay that was held back before.
func (r records) tranches(out *Settlement) error {
	s := r.s
	if out.Verdict.Forfeit {
		out.Forfeited = s.HeldBefore
	}
	switch {
	case s.Locked:
	case r.releases(out.Verdict):
		out.Released, _ = addUp(s.Due[0], s.Due[1]) // Invariant: checked
	default:
		out.Deferred, out.Missed = s.Due[0], s.Due[1]
	}
	had, err := addUp(s.HeldBefore, out.Held)
	gone, err2 := addUp(out.Released, out.Forfeited, out.Missed)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if gone > had {
		return errTooMuch
	}
	out.HeldAfter = had - gone
	return nil
}

// share is the payment's way to the operator and the delegators.
func (r records) share(out *Settlement) (err error) {
	if out.Paid, err = addUp(out.Reward-out.Held, out.Released); err != nil {
		return err
	}
	stake, err := addUp(out.Left.Bond, out.Left.Balance)
	if err != nil {
		return err
	}
	out.Payment.Commission = part(out.Paid, r.s.CommissionBps)
	rest := out.Paid - out.Payment.Commission
	if r.s.Price.Shares > 0 {
		out.Payment.Delegators = down(rest, uint64(out.Left.Balance), uint64(stake))
	}
	out.Payment.Bond = rest - out.Payment.Delegators
	out.Balance, err = addUp(out.Left.Balance, out.Payment.Delegators)
	return err
}
