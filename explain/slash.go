package explain

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Slash works out the verdict on a node's conduct in an epoch that has ended, and its cost.
// For a node that was not slashed it shows the distance to each rung. The error is
// ErrNoRecord where the ledger has no records.
func Slash(v ledger.View, epoch unit.Epoch, id staking.NodeID) (Explanation, error) {
	e := Explanation{Title: fmt.Sprintf("How node %s was judged at the end of epoch %d", id, epoch), Holds: true}
	c, err := read(v, epoch, id)
	if err != nil {
		return e, err
	}
	mine, err := c.settle()
	if err != nil {
		e.same(err.Error(), false)
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
	e.verdict(c, mine.Verdict)
	if c.s.Verdict.Bps > 0 {
		e.cut(c, mine)
	}
	e.step("", "check it: these records are in the ledger's state, proven by its root; a node that ran then has the same, and the blocks that brought each round's outcome and each proof")
	return e, nil
}

// answer adds a rung, and whether its condition is met.
func (e *Explanation) answer(so bool, sum, format string, args ...any) {
	verdict := "no"
	if so {
		verdict = "YES"
	}
	e.step(sum+": "+verdict, format, args...)
}

// presence is the rungs 1 to 6 and 10, by the counts of the rounds.
func (e *Explanation) presence(c records) {
	k, l := c.conduct(), c.t.Ladder
	if owed := c.s.Past.Owed; owed.Judged > 0 {
		e.step(fmt.Sprintf("%d of %d", owed.Proven, owed.Judged), "proven in the epochs before, of which too few rounds could be judged: they count with this one")
	}
	other := k.Judged - min(k.Judged, k.Proven+k.Failed+k.Away)
	e.step(fmt.Sprintf("%d + %d + %d + %d = %d", k.Proven, k.Failed, k.Away, other, k.Judged), "its shard-rounds in the rounds that could be judged: proven, failed while it was there, offline or declared lost, and left open")
	e.answer(k.Enough, fmt.Sprintf("2 x %d >= %d", k.Judging, k.Rounds), "the rungs 1 to 6 and 10 apply if at least half of an epoch's rounds could be judged; else they are kept for the next")
	if k.Enough {
		e.answer(below(k.Proven, k.Judged, l.PassBps), partOf(k.Proven, k.Judged), "rung 1, no new shards and a tranche later: it proved less than %s", l.PassBps.Percent())
		for i, bps := range l.FailBps {
			e.answer(above(k.Failed, k.Judged, bps), partOf(k.Failed, k.Judged), "rung %d, %s of the stake: it failed more than %s", 2+i, l.FailSlash[i].Percent(), bps.Percent())
		}
		for i, bps := range l.AwayBps {
			before := "not so in the epoch before that was judged"
			if c.s.AwayBefore[i] {
				before = "and so in the epoch before that was judged"
			}
			e.answer(above(k.Away, k.Judged, bps) && c.s.AwayBefore[i], partOf(k.Away, k.Judged)+", "+before, "rung %d, %s of the stake: it was away for more than %s, two epochs in a row", 5+i, l.AwaySlash[i].Percent(), bps.Percent())
		}
		past := c.s.Past
		e.answer(lacks(l, k, past), partOf(past.Proven, past.Judged)+" and "+partOf(k.Proven, k.Judged), "rung 10, %s of the stake: it proved less than %s in each of two epochs, or less than %s of both", l.ProveSlash.Percent(), l.ProveBps.Percent(), (l.ProveBps / 5 * 4).Percent())
	}
	if c.s.Late {
		e.step("YES", "rung 6, %s of the stake: a shard was given to it, and at %d epochs' ends it was not ready for it", l.AwaySlash[1].Percent(), l.LateEpochs)
	}
}

// past checks the counts of earlier epochs, with which the conduct is judged, against the
// record of the epoch before, where that is kept.
func (e *Explanation) past(v ledger.View, c records) error {
	want := staking.Past{}
	if c.epoch > 0 {
		before, err := read(v, c.epoch-1, c.id)
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

// faults is the rungs 7 and 8, by the proven faults.
func (e *Explanation) faults(v ledger.View, c records) error {
	s, l := c.s, c.t.Ladder
	if s.Lies > 0 {
		e.step(min(unit.Bps(s.Lies*uint64(l.LieSlash)), l.LieMost).Percent(), "rung 7: %s proven, each costs %s of the stake, together at most %s", times(s.Lies, "lie"), l.LieSlash.Percent(), l.LieMost.Percent())
		e.answer(s.RecentLies >= l.LiesOut, fmt.Sprintf("%d of %d", s.RecentLies, l.LiesOut), "out for good after %d lies within %d epochs", l.LiesOut, l.LieEpochs)
	}
	if s.FalseVotes > 0 {
		e.step(l.VoteSlash.Percent(), "rung 8: %s for a shard that a dispute showed unproven", times(s.FalseVotes, "vote"))
	}
	for _, f := range s.Evidence {
		what := "it signed a proof or an answer that is false"
		if f.Kind == ledger.FalseVote {
			what = "it voted for a shard that was not proven"
		}
		finder := "no finder claims it"
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
func (e *Explanation) replay(v ledger.View, c records, f ledger.Evidence) error {
	b, kept, err := v.Bundle(c.epoch, f)
	if err != nil {
		return err
	}
	if !kept {
		e.step("", "the ledger keeps no more of it than that")
		return nil
	}
	if err := b.Check(); err != nil {
		e.same(fmt.Sprintf("the evidence that the ledger keeps cannot be: %v", err), false)
		return nil
	}
	again := Replay(b, c.id)
	e.Steps = append(e.Steps, again.Steps...)
	e.Holds = e.Holds && again.Holds
	if b.Fault() != (ledger.Fault{Kind: f.Kind, Epoch: f.Epoch, Round: f.Round, Shard: f.Shard}) {
		e.same("the evidence that is kept is about this fault", false)
	}
	e.Exhibits = append(e.Exhibits, Exhibit{Node: c.id, Kind: f.Kind, Epoch: f.Epoch, Round: f.Round, Shard: f.Shard, Bundle: BundleText(b)})
	return nil
}

// doubleSign is rung 9.
func (e *Explanation) doubleSign(v ledger.View, c records) error {
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
	due := l.DoubleSignDue(int(s.DoublePower), int(c.t.Shards), s.DoubleTaken)
	e.step(due.Percent(), "what that costs rises with all the power that did so within two epochs, %d of %d shards: max(%s, (3 x %d / %d)^2)", s.DoublePower, c.t.Shards, l.DoubleSign.Percent(), s.DoublePower, c.t.Shards)
	if s.DoubleTaken > 0 {
		e.step(s.DoubleTaken.Percent(), "of that it had paid before, when less power was known to have done so")
	}
	e.got("", staking.SlashMore(due, s.DoubleTaken), s.DoubleSlash, "so it loses, in 1/10000 of what is at risk now")
	return nil
}

// verdict compares the verdicts.
func (e *Explanation) verdict(c records, mine staking.Verdict) {
	s := c.s
	text := "nothing: no rung of the ladder"
	if mine.Rung > 0 {
		text = fmt.Sprintf("rung %d, %s of the stake", mine.Rung, mine.Bps.Percent())
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

// cut is the cost of the verdict, and where it went.
func (e *Explanation) cut(c records, mine Settlement) {
	s, l := c.s, c.t.Ladder
	risk, total := s.AtRisk.Total(), mine.Cut.Total()
	e.step(fmt.Sprintf("%s + %s = %s", s.AtRisk.Bond, s.AtRisk.Balance, risk), "at risk: the operator's bond, and what the delegators' shares stand for, also those that are leaving")
	e.got(fmt.Sprintf("%s x %d/10000", risk, s.Verdict.Bps), total, s.Cut.Total(), "taken of it, rounded up")
	e.got("", mine.Cut.Bond, s.Cut.Bond, "from the bond, which goes first")
	e.got(fmt.Sprintf("%s - %s", total, mine.Cut.Bond), mine.Cut.Balance, s.Cut.Balance, "from the delegators, from all shares alike")
	if s.Finders > 0 {
		e.got("", mine.Bounty, s.Bounty, "%s of that, at most %s, to the finders of the proofs (%s)", l.BountyBps.Percent(), l.BountyMost, times(s.Finders, "finder"))
	} else if s.Bounty > 0 {
		e.same(fmt.Sprintf("the ledger paid a bounty of %s", s.Bounty), false)
	}
	e.got(fmt.Sprintf("%s x %d/10000", total, l.RepairBps), mine.Repair, s.Repair, "to the repair fund")
	e.got(fmt.Sprintf("%s - %s - %s", total, mine.Bounty, mine.Repair), mine.Burned, s.Burned, "burned; nothing goes to the judges")
	if s.Weight != mine.Left {
		e.same(fmt.Sprintf("the ledger left a bond of %s, and %s to the delegators", s.Weight.Bond, s.Weight.Balance), false)
	}
}
