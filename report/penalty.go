package report

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Penalty is how a node is punished in an epoch, or from a later one on. All epochs are
// 0 where the penalty they belong to is over or never was.
type Penalty struct {
	Out        bool       `json:"out"`                                     // expelled for good
	Jailed     bool       `json:"jailed"`                                  // in jail in this epoch
	JailFrom   unit.Epoch `json:"jail_from"`                               // epoch
	JailUntil  unit.Epoch `json:"jail_until"`                              // epoch: the first in which the node earns again
	MoveUntil  unit.Epoch `json:"shards_move_away_before_epoch,omitempty"` // epoch: committees chosen before it move the node's shards away
	NoNewUntil unit.Epoch `json:"no_new_shards_before_epoch,omitempty"`    // epoch: committees chosen before it give the node no new shards
}

// PenaltyOf reads the penalty of an epoch from a node's records.
func PenaltyOf(r ledger.NodeRecord, s staking.Sanctions, epoch unit.Epoch) Penalty {
	p := Penalty{Out: r.Out, Jailed: s.Jailed(epoch)}
	if s.JailUntil > epoch {
		p.JailFrom, p.JailUntil = s.JailFrom, s.JailUntil
	}
	if s.Moves(epoch) {
		p.MoveUntil = s.MoveUntil
	}
	if s.NoNew(epoch) {
		p.NoNewUntil = max(s.NoNewUntil, s.MoveUntil)
	}
	return p
}

// JailStatus is a node's penalty with all that led to it.
type JailStatus struct {
	Node staking.NodeID `json:"node"`
	Name string         `json:"name"`
	Penalty
	Unready []UnreadyShard `json:"not_ready"`       // shards without all fragments at the last epoch's end; never nil
	Lies    int            `json:"lies_that_count"` // proven lies that the ladder still counts
	LiesOut uint64         `json:"lies_for_out"`    // proven lies for which a node is expelled
	Now     ShardRounds    `json:"passed_now"`      // of the present epoch so far
	Results []EpochResult  `json:"verdicts"`        // of the last epochs, oldest first; never nil
}

// UnreadyShard is a shard that a node was not ready for when an epoch ended.
type UnreadyShard struct {
	Shard  uint16 `json:"shard"`
	Epochs uint64 `json:"epochs"` // ends of epochs in a row
}

// EpochResult is a node's result in an epoch, and its penalty.
type EpochResult struct {
	Epoch   unit.Epoch   `json:"epoch"`
	Passed  ShardRounds  `json:"passed"`
	Failed  uint64       `json:"failed"`  // shard-rounds
	Away    uint64       `json:"away"`    // shard-rounds
	Rung    uint8        `json:"rung"`    // of the ladder of penalties; 0: none
	Slashed token.Amount `json:"slashed"` // bond and delegations
	Effect  []string     `json:"effect"`  // beside the slash; never nil
	Bps     unit.Bps     `json:"-"`       // of the stake, 1/10000: what Slashed comes from
}

// JailStatus works out the status of a node; epochs is how many of the last epochs
// Results covers. The errors are those of the view, and ledger.ErrNoCommittee.
func (n Now) JailStatus(r ledger.NodeRecord, epochs uint64) (JailStatus, error) {
	if err := n.Prefetch(ledger.KeySanctions(r.ID), ledger.KeyCommittee(n.Head.Epoch), ledger.KeyTally(n.Head.Epoch)); err != nil {
		return JailStatus{}, err
	}
	standing, err := n.View.Sanctions(r.ID)
	if err != nil {
		return JailStatus{}, err
	}
	committee, err := n.View.Committee(n.Head.Epoch)
	if err != nil {
		return JailStatus{}, err
	}
	tally, err := n.View.Tally(n.Head.Epoch)
	if err != nil {
		return JailStatus{}, err
	}
	statements, err := n.Statements([]staking.NodeID{r.ID}, epochs)
	if err != nil {
		return JailStatus{}, err
	}
	out := JailStatus{Node: r.ID, Name: r.Name, Penalty: PenaltyOf(r, standing, n.Head.Epoch), Unready: []UnreadyShard{},
		Lies: len(standing.Lies), LiesOut: n.Params.Staking.Ladder.LiesOut, Now: passedOf(r.ID, committee, tally), Results: []EpochResult{}}
	for i, shard := range standing.Unready {
		out.Unready = append(out.Unready, UnreadyShard{shard, standing.UnreadyFor[i]})
	}
	for _, st := range statements[r.ID] {
		one := EpochResult{Epoch: st.Epoch, Failed: st.Credit.Failed, Away: st.Credit.Away, Rung: st.Verdict.Rung, Slashed: st.Cut.Total(), Effect: effects(st.Verdict), Bps: st.Verdict.Bps}
		one.Passed.add(st.Credit)
		out.Results = append(out.Results, one)
	}
	return out, nil
}

// effects names the penalties of a verdict beside the slash.
func effects(v staking.Verdict) []string {
	out := []string{}
	for _, e := range []struct {
		so   bool
		text string
	}{{v.Defer, "pay deferred"}, {v.NoNew, "no new shards"}, {v.Jail, "jail"}, {v.Move, "shards move away"}, {v.Forfeit, "held-back pay lost"}, {v.Out, "out for good"}} {
		if e.so {
			out = append(out, e.text)
		}
	}
	return out
}
