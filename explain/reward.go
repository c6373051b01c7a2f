package explain

import (
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Reward works out the pay of a node for an epoch that has ended, and where it went. The
// error is ErrNoRecord where the ledger has no records.
func Reward(v ledger.View, epoch unit.Epoch, id staking.NodeID) (Explanation, error) {
	e := Explanation{Title: fmt.Sprintf("What node %s earned in epoch %d", id, epoch), Holds: true}
	c, err := read(v, epoch, id)
	if err != nil {
		return e, err
	}
	mine, err := c.settle()
	e.pool(c, mine)
	e.earned(c, mine)
	if err != nil {
		e.same(err.Error(), false)
		return e, nil
	}
	e.tranches(c, mine)
	e.shared(c, mine)
	return e, nil
}

// pool is the epoch's money for all nodes.
func (e *Explanation) pool(c records, mine Settlement) {
	b, t := c.b, c.t
	gross := mine.Pool + mine.Fee
	e.step(fmt.Sprintf("%s + %s + %s = %s", b.Bucket, b.Subsidy, b.Carry, gross), "what the epoch has to share: prepaid for storage, added by the network, and carried over with the fees of transactions")
	if b.Tallied == 0 {
		e.step("", "no round was tallied: no node is paid, and all of it is carried to the next epoch")
		return
	}
	e.got(fmt.Sprintf("%s x %d/10000", gross, t.Pay.FeeBps), mine.Fee, b.Fee, "less a fee of %s", t.Pay.FeeBps.Percent())
	e.got("", mine.Insured, b.Insured, "of the fee, to the insurance fund: it had %s and takes in up to %s of all stake, which was %s; the rest is burned", t.Insurance, t.Pay.InsuranceBps.Percent(), t.Stake)
	e.step(fmt.Sprintf("%s - %s = %s", gross, mine.Fee, mine.Pool), "what is left is shared")
	e.got(fmt.Sprintf("%d x %d", t.Shards, b.Tallied), mine.Shares, b.Shares, "into as many parts as there were shard-rounds, passed or not: the network's shards times the rounds, so that another's failure raises no node's pay")
}

// earned is the pay for the node's credit.
func (e *Explanation) earned(c records, mine Settlement) {
	s := c.s
	if mine.Shares == 0 {
		e.got("", mine.Reward, s.Reward, "so the node earns")
		return
	}
	e.step(partOf(s.Credit.Passed, s.Credit.Assigned), "the node had %s; of the shard-rounds it was to pass it passed", times(s.Shards, "shard"))
	switch {
	case s.Out:
		e.step("", "it is expelled: a node that is out for good earns nothing")
	case s.Jailed:
		e.step("", "it was in jail in this epoch, and earns nothing (walrus pool jail-status says since when)")
	case 2*s.Credit.Passed < s.Credit.Assigned:
		e.step(fmt.Sprintf("2 x %d < %d", s.Credit.Passed, s.Credit.Assigned), "a node that passes less than half earns nothing")
	}
	sum := ""
	if mine.Reward > 0 {
		sum = fmt.Sprintf("%s x %d / %d", mine.Pool, s.Credit.Passed, mine.Shares)
	}
	e.got(sum, mine.Reward, s.Reward, "so it earns")
}

// tranches is the part that is held back, and the fate of the parts of earlier epochs.
func (e *Explanation) tranches(c records, mine Settlement) {
	s, pay := c.s, c.t.Pay
	why := "as of every node"
	if s.PaidEpochs < pay.FreshEpochs {
		why = fmt.Sprintf("as of a fresh node: it had shards in %s before, and is fresh in its first %d", times(s.PaidEpochs, "epoch"), pay.FreshEpochs)
	}
	if s.Reward == 0 && s.HeldBefore == 0 && s.HeldAfter == 0 && s.Held == 0 {
		return
	}
	e.got(fmt.Sprintf("%s x %d/10000", s.Reward, mine.HoldBps), mine.Held, s.Held, "%s of that is held back, %s; it comes in %d tranches at the next epochs' ends", mine.HoldBps.Percent(), why, pay.Tranches)
	if mine.HoldBps != s.HoldBps {
		e.same(fmt.Sprintf("the ledger held back %s", s.HoldBps.Percent()), false)
	}
	if s.Verdict.Forfeit {
		e.step(mine.Forfeited.String(), "all that was held back of earlier epochs is lost to the repair fund: the verdict on its conduct says so (walrus explain slash)")
	}
	switch {
	case s.Locked:
		e.step("", "nothing is released of what was held back before: the node keeps shards for others that are not ready, or fewer than half of the rounds were judged")
	case c.releases(mine.Verdict):
		e.got("", mine.Released, s.Released, "a tranche of what was held back before is released: of the judged shard-rounds it proved %s, at least %s are asked for", partOf(s.Credit.Proven, s.Credit.Judged), pay.ReleaseBps.Percent())
	default:
		e.got("", mine.Deferred, s.Deferred, "no tranche is released: of the judged shard-rounds it proved %s, at least %s are asked for, and no jail; what was due moves once to the tail", partOf(s.Credit.Proven, s.Credit.Judged), pay.ReleaseBps.Percent())
		e.step(mine.Missed.String(), "what had moved there before is lost to the repair fund")
	}
	lost := mine.Forfeited + mine.Missed // Invariant: at most what was held back
	if [3]token.Amount{mine.Released, mine.Deferred, lost} != [3]token.Amount{s.Released, s.Deferred, s.Lost} {
		e.same(fmt.Sprintf("the ledger released %s, deferred %s, and %s was lost", s.Released, s.Deferred, s.Lost), false)
	}
	e.got(fmt.Sprintf("%s + %s - %s - %s", s.HeldBefore, mine.Held, mine.Released, lost), mine.HeldAfter, s.HeldAfter, "held back after this: what was, what is added, less what was released and lost")
}

// shared is the payment's way to the operator and the delegators.
func (e *Explanation) shared(c records, mine Settlement) {
	s, p := c.s, mine.Payment
	e.step(fmt.Sprintf("%s - %s + %s = %s", s.Reward, s.Held, s.Released, mine.Paid), "paid now: what was earned, less what is held back, and what is released")
	if mine.Paid == 0 && s.Payment == (staking.Payment{}) && s.Price.Balance == s.Weight.Balance {
		return
	}
	rest := mine.Paid - p.Commission
	e.got(fmt.Sprintf("%s x %d/10000", mine.Paid, s.CommissionBps), p.Commission, s.Payment.Commission, "the operator's commission, %s", s.CommissionBps.Percent())
	e.got(fmt.Sprintf("%s x %s / (%s + %s)", rest, s.Weight.Balance, s.Weight.Bond, s.Weight.Balance), p.Delegators, s.Payment.Delegators,
		"of the rest the delegators have their part of all stake, %s beside a bond of %s", s.Weight.Balance, s.Weight.Bond)
	e.got(fmt.Sprintf("%s - %s", rest, p.Delegators), p.Bond, s.Payment.Bond, "and the operator the part of the bond")
	e.got(fmt.Sprintf("%s + %s", s.Weight.Balance, p.Delegators), mine.Balance, s.Price.Balance, "so the %d shares of the delegators stand for", uint64(s.Price.Shares))
	if s.Weight.Balance > 0 {
		const sample = 1000 * token.WAL
		gain, err := sample.MulDiv(uint64(p.Delegators), uint64(s.Weight.Balance))
		if err == nil {
			e.step(fmt.Sprintf("%s x %s / %s = %s", sample, p.Delegators, s.Weight.Balance, gain), "a delegator with %s here earned", sample)
		}
	}
}
