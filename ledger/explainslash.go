package ledger

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// ExplainSlash works out how a node's conduct in an epoch that has ended was judged,
// and what it cost, from the records of the ledger. A node that was not slashed is
// told how far it was from it. ErrNoRecord where there are no records.
func ExplainSlash(v View, epoch uint64, id staking.NodeID) (Explanation, error) {
	e := Explanation{Title: fmt.Sprintf("How node %s was judged at the end of epoch %d", id, epoch), Holds: true}
	c, err := v.closed(epoch, id)
	if err != nil {
		return e, err
	}
	e.presence(c)
	if err := e.past(v, c); err != nil {
		return e, err
	}
	if err := e.faults(v, c); err != nil {
		return e, err
	}
	if err := e.doubleSign(v, c); err != nil {
		return e, err
	}
	e.verdict(c)
	if c.s.Verdict.Bps > 0 {
		e.cut(c)
	}
	e.step("", "check it: these records are in the ledger's state, proven by its root; who ran a node then has the same, and the blocks that brought each round's outcome and each proof")
	return e, nil
}

func (c closed) enough() bool { return 2*c.b.Judged >= c.b.Rounds }

// conduct is what the ladder judges by: the epoch's, with what is owed of those before.
func (c closed) conduct() staking.Conduct {
	s, past := c.s, c.s.Past
	return past.Gather(staking.Conduct{Credit: s.Credit, Enough: c.enough(), Judging: c.b.Judged, Rounds: c.b.Rounds, Late: s.Late,
		Lies: s.Lies, RecentLies: s.RecentLies, FalseVotes: s.FalseVotes, DoubleSlash: s.DoubleSlash})
}

// answer is a rung, and whether what it asks for is so.
func (e *Explanation) answer(so bool, sum, format string, args ...any) {
	verdict := "no"
	if so {
		verdict = "YES"
	}
	e.step(sum+": "+verdict, format, args...)
}

// presence is the rungs 1 to 6 and 10: what was counted in the rounds.
func (e *Explanation) presence(c closed) {
	k, l := c.conduct(), c.t.Ladder
	above := func(n, bps uint64) bool { return n*whole > k.Judged*bps }
	if owed := c.s.Past.Owed; owed.Judged > 0 {
		e.step(fmt.Sprintf("%d of %d", owed.Proven, owed.Judged), "proven in the epochs before, of which too few rounds could be judged: they count with this one")
	}
	other := k.Judged - min(k.Judged, k.Proven+k.Failed+k.Away)
	e.step(fmt.Sprintf("%d + %d + %d + %d = %d", k.Proven, k.Failed, k.Away, other, k.Judged), "its shard-rounds in the rounds that could be judged: proven, failed while it was there, offline or declared lost, and left open")
	e.answer(k.Enough, fmt.Sprintf("2 x %d >= %d", k.Judging, k.Rounds), "the rungs 1 to 6 and 10 apply if at least half of an epoch's rounds could be judged; else they are kept for the next")
	if k.Enough {
		e.answer(!k.Proves(l.PassBps), partOf(k.Proven, k.Judged), "rung 1, no new shards and a tranche later: it proved less than %s", percent(l.PassBps))
		for i, bps := range l.FailBps {
			e.answer(above(k.Failed, bps), partOf(k.Failed, k.Judged), "rung %d, %s of the stake: it failed more than %s", 2+i, percent(l.FailSlash[i]), percent(bps))
		}
		for i, bps := range l.AwayBps {
			before := "not so in the epoch before that was judged"
			if c.s.AwayBefore[i] {
				before = "and so in the epoch before that was judged"
			}
			e.answer(above(k.Away, bps) && c.s.AwayBefore[i], partOf(k.Away, k.Judged)+", "+before, "rung %d, %s of the stake: it was away for more than %s, two epochs in a row", 5+i, percent(l.AwaySlash[i]), percent(bps))
		}
		past := c.s.Past
		e.answer(l.Lacks(k, past), partOf(past.Proven, past.Judged)+" and "+partOf(k.Proven, k.Judged), "rung 10, %s of the stake: it proved less than %s in each of two epochs, or less than %s of both", percent(l.ProveSlash), percent(l.ProveBps), percent(l.ProveBps/5*4))
	}
	if c.s.Late {
		e.step("YES", "rung 6, %s of the stake: a shard was given to it, and at %d epochs' ends it was not ready for it", percent(l.AwaySlash[1]), l.LateEpochs)
	}
}

// past checks what the conduct is judged together with against the record of the epoch
// before, where that is kept.
func (e *Explanation) past(v View, c closed) error {
	want := staking.Past{}
	if c.epoch > 0 {
		before, err := v.closed(c.epoch-1, c.id)
		if errors.Is(err, ErrNoRecord) {
			return nil
		}
		if err != nil {
			return err
		}
		k := before.conduct()
		if want = (staking.Past{Judged: k.Judged, Proven: k.Proven}); !k.Enough {
			want = staking.Past{Judged: before.s.Past.Judged, Proven: before.s.Past.Proven, Owed: k.Credit, Rounds: k.Judging}
		}
	}
	if want != c.s.Past {
		e.same(fmt.Sprintf("the epoch before left %d of %d proven, and %d of %d of which too few rounds were judged", want.Proven, want.Judged, want.Owed.Proven, want.Owed.Judged), false)
	}
	return nil
}

// faults is the rungs 7 and 8: what was proven.
func (e *Explanation) faults(v View, c closed) error {
	s, l := c.s, c.t.Ladder
	if s.Lies > 0 {
		e.step(percent(min(s.Lies*l.LieSlash, l.LieMost)), "rung 7: %s proven, each costs %s of the stake, together at most %s", times(s.Lies, "lie"), percent(l.LieSlash), percent(l.LieMost))
		e.answer(s.RecentLies >= l.LiesOut, fmt.Sprintf("%d of %d", s.RecentLies, l.LiesOut), "out for good after %d lies within %d epochs", l.LiesOut, l.LieEpochs)
	}
	if s.FalseVotes > 0 {
		e.step(percent(l.VoteSlash), "rung 8: %s for a shard that a dispute showed unproven", times(s.FalseVotes, "vote"))
	}
	for _, f := range s.Evidence {
		what := "it signed a proof or an answer that is false"
		if f.Kind == FalseVote {
			what = "it voted for a shard that was not proven"
		}
		finder := "nobody claims the find"
		if f.Finder != (token.Address{}) {
			finder = "found by " + f.Finder.String()
		}
		e.step(fmt.Sprintf("epoch %d, round %d", f.Epoch, f.Round), "evidence: %s; the proof is in block %d, %s", what, f.Height, finder)
		if err := e.replay(v, c, f); err != nil {
			return err
		}
	}
	if n := s.Lies + s.FalseVotes; n > uint64(len(s.Evidence)) {
		e.step("", "and %d more that are not listed", n-uint64(len(s.Evidence)))
	}
	return nil
}

// replay checks the evidence of a fault again.
func (e *Explanation) replay(v View, c closed, f Evidence) error {
	b, kept, err := v.Bundle(c.epoch, f)
	if err != nil {
		return err
	}
	if !kept {
		e.step("", "the ledger keeps no more of it than that")
		return nil
	}
	if err := b.check(); err != nil {
		e.same(fmt.Sprintf("the evidence that the ledger keeps cannot be: %v", err), false)
		return nil
	}
	again := b.Replay(c.id)
	e.Steps = append(e.Steps, again.Steps...)
	e.Holds = e.Holds && again.Holds
	if b.fault() != (Fault{Kind: f.Kind, Epoch: f.Epoch, Round: f.Round, Shard: f.Shard}) {
		e.same("the evidence that is kept is about this fault", false)
	}
	e.Exhibits = append(e.Exhibits, Exhibit{Node: c.id, Kind: f.Kind, Epoch: f.Epoch, Round: f.Round, Shard: f.Shard, Bundle: b.Text()})
	return nil
}

// doubleSign is rung 9.
func (e *Explanation) doubleSign(v View, c closed) error {
	s, l := c.s, c.t.Ladder
	if s.DoubleSlash == 0 {
		return nil
	}
	r, known, err := v.DoubleSign(c.id)
	if err != nil {
		return err
	}
	if !known {
		e.same("rung 9: the ledger has no record of the node's double sign", false)
		return nil
	}
	e.step(fmt.Sprintf("height %d", r.Height), "rung 9, evidence: it signed two blocks at one height with %s; block %d holds both signatures", times(r.Power, "shard"), r.Found)
	due := doubleDue(l, int(s.DoublePower), int(c.t.Shards), s.DoubleTaken)
	e.step(percent(due), "what that costs rises with all the power that did so within two epochs, %d of %d shards: max(%s, (3 x %d / %d)^2)", s.DoublePower, c.t.Shards, percent(l.DoubleSign), s.DoublePower, c.t.Shards)
	if s.DoubleTaken > 0 {
		e.step(percent(s.DoubleTaken), "of that it had paid before, when less power was known to have done so")
	}
	e.got("", doubleMore(due, s.DoubleTaken), s.DoubleSlash, "so it loses, in 1/10000 of what is at risk now")
	return nil
}

// verdict climbs the ladder again.
func (e *Explanation) verdict(c closed) {
	s := c.s
	var before staking.Standing
	for _, away := range s.AwayBefore {
		at := uint64(0)
		if away {
			at = c.epoch
		}
		before.Away = append(before.Away, at)
	}
	before.Past = s.Past
	mine, _ := c.t.Ladder.Judge(staking.Conduct{Credit: s.Credit, Enough: c.enough(), Judging: c.b.Judged, Rounds: c.b.Rounds, Late: s.Late, Lies: s.Lies, RecentLies: s.RecentLies,
		FalseVotes: s.FalseVotes, DoubleSlash: s.DoubleSlash}, before, c.epoch)
	text := "nothing: no rung of the ladder"
	if mine.Rung > 0 {
		text = fmt.Sprintf("rung %d, %s of the stake", mine.Rung, percent(mine.Bps))
	}
	for _, x := range []struct {
		so   bool
		text string
	}{
		{mine.Defer, "no tranche of what is held back"}, {mine.NoNew, "no new shards in the committee that is chosen next"}, {mine.Jail, "jail: no pay while that committee serves"},
		{mine.Move, "its shards are moved to others"}, {mine.Forfeit, "what is held back is lost"}, {mine.Out, "out for good"},
	} {
		if x.so {
			text += "; " + x.text
		}
	}
	e.step(text, "the worst rung counts, they do not add up; so the verdict is")
	if mine != s.Verdict {
		e.same(fmt.Sprintf("the ledger's verdict is %+v", s.Verdict), false)
	}
}

// cut is what the verdict cost, and where it went.
func (e *Explanation) cut(c closed) {
	s, l := c.s, c.t.Ladder
	risk := s.AtRisk.Total()
	pool := staking.Pool{Bond: s.AtRisk.Bond, Balance: s.AtRisk.Balance}
	mine := pool.Slash(s.Verdict.Bps)
	total := mine.Total()
	e.step(fmt.Sprintf("%s + %s = %s", s.AtRisk.Bond, s.AtRisk.Balance, risk), "at risk: the operator's bond, and what the delegators' shares stand for, also those that are leaving")
	e.got(fmt.Sprintf("%s x %d/10000", risk, s.Verdict.Bps), total, s.Cut.Total(), "taken of it, rounded up")
	e.got("", mine.Bond, s.Cut.Bond, "from the bond, which goes first")
	e.got(fmt.Sprintf("%s - %s", total, mine.Bond), mine.Balance, s.Cut.Balance, "from the delegators, from all shares alike")
	bounty := token.Amount(0)
	if s.Finders > 0 {
		bounty = l.BountyPart(total, s.Finders) * token.Amount(s.Finders) // at most total
		e.got("", bounty, s.Bounty, "%s of that, at most %s, to whoever found the proofs (%s)", percent(l.BountyBps), l.BountyMost, times(s.Finders, "finder"))
	}
	repair := must(total.MulDiv(l.RepairBps, whole))
	e.got(fmt.Sprintf("%s x %d/10000", total, l.RepairBps), repair, s.Repair, "to the repair fund")
	e.got(fmt.Sprintf("%s - %s - %s", total, bounty, repair), total-bounty-repair, s.Burned, "burned; nothing goes to those who judged")
	if (s.Weight != staking.Cut{Bond: pool.Bond, Balance: pool.Balance}) {
		e.same(fmt.Sprintf("the ledger left a bond of %s, and %s to the delegators", s.Weight.Bond, s.Weight.Balance), false)
	}
	if bounty != s.Bounty {
		e.same(fmt.Sprintf("the ledger paid a bounty of %s", s.Bounty), false)
	}
}
