package staking

import (
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Performance is what is known of a node at the end of an epoch.
type Performance struct {
	Credit
	Enough      bool     // at least half of the rounds were judged: the rungs 1 to 6 and 10 apply
	Judging     uint64   // rounds that were judged; where they are not enough they are judged with the next epoch's
	Rounds      uint64   // of the epoch
	Late        bool     // it took longer than LateEpochs to become ready for a shard
	Lies        uint64   // proven in this epoch: signed proofs or answers that are false
	RecentLies  uint64   // in the LieEpochs up to this one
	FalseVotes  uint64   // votes for shards that a dispute showed unproven
	DoubleSlash unit.Bps // what double signing costs it, in 1/10000: see Ladder.DoubleSignDue
}

// Verdict is what an epoch's performance leads to. The worst rung counts: rungs do not
// add up. What each of them does beside the slash is done.
type Verdict struct {
	_       struct{} `cbor:",toarray"`
	Rung    uint8    // 0: nothing worse than being unpaid
	Bps     unit.Bps // slashed
	Defer   bool     // the tranche that is due moves to the tail
	NoNew   bool     // no new shards in the committee that is chosen next
	Jail    bool     // it earns nothing in the epochs for which that committee is chosen
	Move    bool     // its shards are moved away
	Forfeit bool     // what is held back is lost
	Out     bool     // for good
}

// Judge climbs the ladder with one node's conduct. Before is its standing until then;
// the standing that it returns is the one to keep.
func (l Ladder) Judge(c Performance, s Sanctions, epoch unit.Epoch) (Verdict, Sanctions) {
	var v Verdict
	rung := func(n uint8, bps unit.Bps) {
		if bps > v.Bps || bps == v.Bps && n > v.Rung {
			v.Rung, v.Bps = n, bps
		}
	}
	if c = s.Past.Gather(c); c.Enough {
		l.presence(c, s, epoch, &v, rung)
		s.setAway(c.Credit, l, epoch)
		s.Past.Judged, s.Past.Proven = c.Judged, c.Proven
	}
	if c.Late {
		rung(6, l.AwaySlash[1])
		v.NoNew, v.Move, v.Forfeit = true, true, true
	}
	if c.Lies > 0 {
		rung(7, min(unit.Bps(c.Lies*uint64(l.LieSlash)), l.LieMost))
		v.Out = c.RecentLies >= l.LiesOut
	}
	if c.FalseVotes > 0 {
		rung(8, l.VoteSlash)
	}
	if c.DoubleSlash > 0 {
		rung(9, c.DoubleSlash)
		v.Out = true
	}
	v.Forfeit = v.Forfeit || v.Out
	s.punish(v, l, epoch)
	return v, s
}

// presence is rungs 1 to 6 and 10.
func (l Ladder) presence(c Performance, s Sanctions, epoch unit.Epoch, v *Verdict, rung func(uint8, unit.Bps)) {
	if !c.Proves(l.PassBps) {
		rung(1, 0)
		v.Defer, v.NoNew = true, true
	}
	for i := range l.FailBps {
		if c.above(c.Failed, l.FailBps[i]) {
			rung(uint8(2+i), l.FailSlash[i])
			v.Jail = i >= 1
			v.Move = i >= 2
		}
	}
	if l.lacks(c, s.Past) {
		if l.ProveSlash > v.Bps { // else the rung of the failures says more
			rung(10, l.ProveSlash)
		}
		v.NoNew, v.Move = true, true
	}
	for i := range l.AwayBps {
		if c.above(c.Away, l.AwayBps[i]) && s.AwayBefore(epoch, i) {
			rung(uint8(5+i), l.AwaySlash[i])
			if i == 1 {
				v.NoNew, v.Move, v.Forfeit = true, true, true
			}
		}
	}
}

// lacks is rung 10: a node that proves less than the part ProveBps of its shard-rounds in
// two epochs in a row is of no use, by whatever mixture of failures and absence it keeps below
// the other rungs. Nor is a node that proves less than four fifths of that part in both
// taken together. An outage of one whole epoch leaves about half of two: a node that rests
// in every second epoch and proves all in the others is not found by this rung, and is
// paid for half.
func (l Ladder) lacks(c Performance, p Past) bool {
	before := Credit{Judged: p.Judged, Proven: p.Proven}
	both := Credit{Judged: p.Judged + c.Judged, Proven: p.Proven + c.Proven}
	each := !before.Proves(l.ProveBps) && !c.Proves(l.ProveBps)
	return p.Judged > 0 && c.Judged > 0 && (each || !both.Proves(l.ProveBps/5*4))
}

// BountyPart is what each finder of a slash is paid of it.
func (l Ladder) BountyPart(slash token.Amount, finders uint64) token.Amount {
	return min(slash.Part(l.BountyBps), l.BountyMost) / token.Amount(max(finders, 1))
}
