package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// Tally is the credit of the present epoch's rounds so far.
type Tally struct {
	_       struct{} `cbor:",toarray"`
	Epoch   unit.Epoch
	Tallied uint64           // rounds
	Judged  uint64           // of these: not void
	Nodes   []staking.Credit // in the order of the committee's nodes
}

// Tally is the credit of an epoch's rounds so far; empty once the epoch is closed.
func (v View) Tally(epoch unit.Epoch) (Tally, error) {
	t, _, err := read[Tally](v, "tally", KeyTally(epoch))
	return t, err
}

// roundEnds says that the block is the last of a round.
func (x *exec) roundEnds() bool {
	return (x.head.Height+1).Since(x.head.EpochStart)%x.p.RoundBlocks == 0
}

// unjudged says that no proof is asked for, and that every shard with a ready holder counts
// as passed: the network runs without challenges, or has too few nodes to judge each other.
func (x *exec) unjudged(c Committee) bool {
	return !x.p.Challenged || len(c.Validators()) < staking.MinNodes
}

// tally enters the rounds that a block closes.
func (x *exec) tally(rounds []staking.RoundResult) {
	c := x.committee()
	switch {
	case x.unjudged(c):
		rounds = nil
		if x.roundEnds() {
			rounds = []staking.RoundResult{allPassed(len(c.Holder))}
		}
	case x.p.asks():
		return // see round
	}
	for _, r := range rounds {
		x.tallyRound(c, r)
	}
}

func allPassed(shards int) (r staking.RoundResult) {
	for range shards {
		r.Outcomes = append(r.Outcomes, staking.Passed)
	}
	return r
}

// tallyRound adds a round to the nodes' credit and returns the outcomes that count: those
// of shards without a ready holder are Unready, and a round too many has none.
func (x *exec) tallyRound(c Committee, r staking.RoundResult) (counted staking.RoundResult) {
	if len(r.Outcomes) != len(c.Holder) {
		panic(readFailure{fmt.Errorf("a round with outcomes for %d of %d shards", len(r.Outcomes), len(c.Holder))})
	}
	t := sure(x.view().Tally(c.Epoch))
	if t.Nodes == nil {
		t = Tally{Epoch: c.Epoch, Nodes: make([]staking.Credit, len(c.Nodes))}
	}
	if t.Tallied == x.p.RoundsPerEpoch {
		return counted // an epoch has no more rounds than that
	}
	void := r.Voids()
	counted.Void = void
	t.Tallied++
	if !void {
		t.Judged++
	}
	for s, o := range r.Outcomes {
		if !c.From[s].IsZero() {
			o = staking.Unready
		}
		i, _ := c.Index(c.Holder[s])
		t.Nodes[i].Add(o, void)
		counted.Outcomes = append(counted.Outcomes, o)
	}
	x.put(KeyTally(c.Epoch), t)
	return counted
}

// takeBack takes a shard's pass in a round of the present epoch from its holder. The holder
// is not paid for it and not struck: it is not known whether it could have proven it.
func (x *exec) takeBack(c Committee, r RoundState, holder staking.NodeID) {
	t := sure(x.view().Tally(c.Epoch))
	i, _ := c.Index(holder)
	if i >= len(t.Nodes) {
		return // the epoch is closed
	}
	t.Nodes[i].TakeBack(r.Void)
	x.put(KeyTally(c.Epoch), t)
}
