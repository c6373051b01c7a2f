package explain

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// enough says that at least half of an epoch's rounds were judged.
func (r records) enough() bool { return 2*r.b.Judged >= r.b.Rounds }

// conduct is the node's conduct in the epoch, together with the epochs before that had too
// few judged rounds to be judged alone.
func (r records) conduct() staking.Performance {
	s := r.s
	return s.Past.Gather(staking.Performance{Credit: s.Credit, Enough: r.enough(), Judging: r.b.Judged, Rounds: r.b.Rounds, Late: s.Late,
		Lies: s.Lies, RecentLies: s.RecentLies, FalseVotes: s.FalseVotes, DoubleSlash: s.DoubleSlash})
}

// above says that n is more than a part of the judged shard-rounds.
func above(n, judged uint64, bps unit.Bps) bool { return n*unit.Whole > judged*uint64(bps) }

// below says that less than a part of the judged shard-rounds was proven.
func below(proven, judged uint64, bps unit.Bps) bool {
	return proven*unit.Whole < judged*uint64(bps)
}

// lacks is rung 10: the node proved less than ProveBps of its shard-rounds in each of two
// epochs, or less than four fifths of that in both together.
func lacks(l staking.Ladder, k staking.Performance, past staking.Past) bool {
	if k.Judged == 0 || past.Judged == 0 {
		return false
	}
	each := below(past.Proven, past.Judged, l.ProveBps) && below(k.Proven, k.Judged, l.ProveBps)
	return each || below(past.Proven+k.Proven, past.Judged+k.Judged, l.ProveBps/5*4)
}

// rung is a step of the ladder that a node's conduct reaches.
type rung struct {
	number uint8
	bps    unit.Bps
}

// climb is the verdict on a node's conduct: the most expensive of all rungs that it
// reaches, the higher number where two cost the same, and the effects of them all.
func climb(l staking.Ladder, k staking.Performance, past staking.Past, awayBefore [2]bool) (v staking.Verdict) {
	var reached []rung
	if k.Enough {
		if below(k.Proven, k.Judged, l.PassBps) {
			reached = append(reached, rung{1, 0})
			v.Defer, v.NoNew = true, true
		}
		failed, dearest := -1, unit.Bps(0)
		for i := range l.FailBps {
			if above(k.Failed, k.Judged, l.FailBps[i]) {
				failed, dearest = i, max(dearest, l.FailSlash[i])
				reached = append(reached, rung{uint8(2 + i), l.FailSlash[i]})
			}
		}
		v.Jail, v.Move = failed >= 1, failed >= 2
		if lacks(l, k, past) {
			v.NoNew, v.Move = true, true
			if l.ProveSlash > dearest { // else the failures' rung says more
				reached = append(reached, rung{10, l.ProveSlash})
			}
		}
		for i := range l.AwayBps {
			if awayBefore[i] && above(k.Away, k.Judged, l.AwayBps[i]) {
				reached = append(reached, rung{uint8(5 + i), l.AwaySlash[i]})
			}
		}
		if awayBefore[1] && above(k.Away, k.Judged, l.AwayBps[1]) {
			v.NoNew, v.Move, v.Forfeit = true, true, true
		}
	}
	if k.Late {
		reached = append(reached, rung{6, l.AwaySlash[1]})
		v.NoNew, v.Move, v.Forfeit = true, true, true
	}
	if k.Lies > 0 {
		reached = append(reached, rung{uint8(ledger.Lie), min(unit.Bps(k.Lies*uint64(l.LieSlash)), l.LieMost)})
		v.Out = k.RecentLies >= l.LiesOut
	}
	if k.FalseVotes > 0 {
		reached = append(reached, rung{uint8(ledger.FalseVote), l.VoteSlash})
	}
	if k.DoubleSlash > 0 {
		reached = append(reached, rung{9, k.DoubleSlash})
		v.Out = true
	}
	v.Forfeit = v.Forfeit || v.Out
	for _, r := range reached {
		if r.bps > v.Bps || r.bps == v.Bps && r.number > v.Rung {
			v.Bps, v.Rung = r.bps, r.number
		}
	}
	return v
}
