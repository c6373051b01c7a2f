package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// ExplainReward works out what a node earned in an epoch that has ended, and what
// became of it, from the records of the ledger. ErrNoRecord where there are none.
func ExplainReward(v View, epoch uint64, id staking.NodeID) (Explanation, error) {
	e := Explanation{Title: fmt.Sprintf("What node %s earned in epoch %d", id, epoch), Holds: true}
	c, err := v.closed(epoch, id)
	if err != nil {
		return e, err
	}
	books := e.pool(c)
	e.earned(c, books)
	e.tranches(c)
	e.shared(c)
	return e, nil
}

// pool is how much the epoch had for all nodes.
func (e *Explanation) pool(c closed) staking.Books {
	b, t := c.b, c.t
	mine := staking.Books{Bucket: b.Bucket, Subsidy: b.Subsidy, Carry: b.Carry, Tallied: b.Tallied, Shares: b.Tallied * t.Shards}
	gross, _ := addUp(b.Bucket, b.Subsidy, b.Carry) // checked
	e.step(fmt.Sprintf("%s + %s + %s = %s", b.Bucket, b.Subsidy, b.Carry, gross), "what the epoch has to share: prepaid by those who store, added by the network, and carried over with the fees of transactions")
	if b.Tallied == 0 {
		e.step("", "no round was tallied: nobody is paid, and all of it is carried to the next epoch")
		return mine
	}
	mine.TakeFee(t.Insurance, t.Stake, t.Pay)
	e.got(fmt.Sprintf("%s x %d/10000", gross, t.Pay.FeeBps), mine.Fee, b.Fee, "less a fee of %s", percent(t.Pay.FeeBps))
	e.got("", mine.Insured, b.Insured, "of the fee, to the insurance fund: it had %s and takes in up to %s of all stake, which was %s; the rest is burned", t.Insurance, percent(t.Pay.InsuranceBps), t.Stake)
	e.step(fmt.Sprintf("%s - %s = %s", gross, mine.Fee, mine.Pool()), "what is left is shared")
	e.got(fmt.Sprintf("%d x %d", t.Shards, b.Tallied), mine.Shares, b.Shares, "into as many parts as there were shard-rounds, passed or not: the network's shards times the rounds, so that another's failure raises nobody's pay")
	return mine
}

// earned is what the node's credit brought it.
func (e *Explanation) earned(c closed, mine staking.Books) {
	s := c.s
	if mine.Shares == 0 {
		e.got("", token.Amount(0), s.Reward, "so the node earns")
		return
	}
	e.step(partOf(s.Credit.Passed, s.Credit.Assigned), "the node had %s; of the shard-rounds it was to pass it passed", times(s.Shards, "shard"))
	r, _ := mine.Reward(s.Credit)
	switch {
	case s.Out:
		r = 0
		e.step("", "it is expelled: who is out for good earns nothing")
	case s.Jailed:
		r = 0
		e.step("", "it was in jail in this epoch, and earns nothing (walrus pool jail-status says since when)")
	case r == 0 && 2*s.Credit.Passed < s.Credit.Assigned:
		e.step(fmt.Sprintf("2 x %d < %d", s.Credit.Passed, s.Credit.Assigned), "who passes less than half earns nothing")
	}
	sum := ""
	if r > 0 {
		sum = fmt.Sprintf("%s x %d / %d", mine.Pool(), s.Credit.Passed, mine.Shares)
	}
	e.got(sum, r, s.Reward, "so it earns")
}

// tranches is what is held back of it, and what is released of earlier epochs.
func (e *Explanation) tranches(c closed) {
	s, pay := c.s, c.t.Pay
	why := "as of every node"
	if s.PaidEpochs < pay.FreshEpochs {
		why = fmt.Sprintf("as of a fresh node: it had shards in %s before, and is fresh in its first %d", times(s.PaidEpochs, "epoch"), pay.FreshEpochs)
	}
	bps := pay.Holding(s.PaidEpochs)
	held := must(s.Reward.MulDiv(bps, whole))
	if s.Reward == 0 && s.HeldBefore == 0 && s.HeldAfter == 0 && s.Held == 0 {
		return
	}
	e.got(fmt.Sprintf("%s x %d/10000", s.Reward, bps), held, s.Held, "%s of that is held back, %s; it comes in %d tranches at the next epochs' ends", percent(bps), why, pay.Tranches)
	due := must(s.Due[0].Add(s.Due[1]))
	forfeited := token.Amount(0)
	if s.Verdict.Forfeit {
		forfeited = s.HeldBefore
		e.step(forfeited.String(), "all that was held back of earlier epochs is lost to the repair fund: the verdict on its conduct says so (walrus explain slash)")
	}
	var released, deferred, lost token.Amount
	switch {
	case s.Locked:
		e.step("", "nothing is released of what was held back before: the node keeps shards for others who are not ready, or fewer than half of the rounds were judged")
	case s.releases(pay):
		released = due
		e.got("", released, s.Released, "a tranche of what was held back before is released: of the judged shard-rounds it proved %s, at least %s are asked for", partOf(s.Credit.Proven, s.Credit.Judged), percent(pay.ReleaseBps))
	default:
		deferred, lost = s.Due[0], s.Due[1]
		e.got("", deferred, s.Deferred, "no tranche is released: of the judged shard-rounds it proved %s, at least %s are asked for, and no jail; what was due moves once to the tail", partOf(s.Credit.Proven, s.Credit.Judged), percent(pay.ReleaseBps))
		e.step(lost.String(), "what had moved there before is lost to the repair fund")
	}
	if [3]token.Amount{released, deferred, must(forfeited.Add(lost))} != [3]token.Amount{s.Released, s.Deferred, s.Lost} {
		e.same(fmt.Sprintf("the ledger released %s, deferred %s, and %s was lost", s.Released, s.Deferred, s.Lost), false)
	}
	left, err := addUp(s.HeldBefore, held)
	if err == nil {
		left, err = left.Sub(must(must(released.Add(forfeited)).Add(lost)))
	}
	if err != nil {
		e.same("more is released or lost than was held back", false)
		return
	}
	e.got(fmt.Sprintf("%s + %s - %s - %s", s.HeldBefore, held, released, must(forfeited.Add(lost))), left, s.HeldAfter, "held back after this: what was, what is added, less what was released and lost")
}

// shared is how what is paid now was shared between operator and delegators.
func (e *Explanation) shared(c closed) {
	s := c.s
	paid := must(s.Reward.Add(s.Released)) - min(s.Held, s.Reward)
	e.step(fmt.Sprintf("%s - %s + %s = %s", s.Reward, s.Held, s.Released, paid), "paid now: what was earned, less what is held back, and what is released")
	if paid == 0 && s.Payment == (staking.Payment{}) && s.Price.Balance == s.Weight.Balance {
		return
	}
	pool := staking.Pool{Bond: s.Weight.Bond, Balance: s.Weight.Balance, Shares: s.Price.Shares, CommissionBps: s.CommissionBps}
	p := pool.Reward(paid)
	rest := paid - p.Commission
	e.got(fmt.Sprintf("%s x %d/10000", paid, s.CommissionBps), p.Commission, s.Payment.Commission, "the operator's commission, %s", percent(s.CommissionBps))
	e.got(fmt.Sprintf("%s x %s / (%s + %s)", rest, s.Weight.Balance, s.Weight.Bond, s.Weight.Balance), p.Delegators, s.Payment.Delegators,
		"of the rest the delegators have their part of all stake, %s beside a bond of %s", s.Weight.Balance, s.Weight.Bond)
	e.got(fmt.Sprintf("%s - %s", rest, p.Delegators), p.Bond, s.Payment.Bond, "and the operator the part of the bond")
	e.got(fmt.Sprintf("%s + %s", s.Weight.Balance, p.Delegators), pool.Balance, s.Price.Balance, "so the %d shares of the delegators stand for", uint64(s.Price.Shares))
	if before := (staking.Rate{Balance: s.Weight.Balance, Shares: s.Price.Shares}); before.Balance > 0 {
		const sample = 1000 * token.WAL
		gain, err := sample.MulDiv(uint64(p.Delegators), uint64(before.Balance))
		if err == nil {
			e.step(fmt.Sprintf("%s x %s / %s = %s", sample, p.Delegators, before.Balance, gain), "who had %s with this node earned", sample)
		}
	}
}
