package challenge

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
)

// Attestation is what one node says of all shards of a round.
type Attestation struct {
	Power    int
	Listened bool          // since the draw: else it says nothing of shards that are not in Yes
	Yes      blob.ShardSet // shards of which it has seen a proof that holds
}

// Merge is two votes of one node: a yes is never taken back, and to have listened
// neither. The order of votes, and how often each comes, does not matter.
func (v Attestation) Merge(w Attestation) Attestation {
	return Attestation{Power: max(v.Power, w.Power), Listened: v.Listened || w.Listened, Yes: v.Yes.Union(w.Yes)}
}

// Holder is what the ledger knows of a shard's holder in a round.
type Holder struct {
	Node     int  // its place among the votes; -1: it has none
	Ready    bool // for this shard
	There    bool // it has revealed, or attested that it listened, in any vote that a block carried
	Lately   bool // it was not away in one of the rounds before that count, nor silent as a closer
	Declared bool // that it lost something
}

// Tally is a round's outcome for each shard. Power is all there is. A shard passes if
// more than a third of the power but its holder's has seen its proof: one honest voice
// is among them, and fewer than a third cannot fail whom half of the honest ones have
// heard. It fails if more than two thirds listened and saw none: more than a third of
// these are honest. Between the two nothing is known. A proof speaks for itself: whether
// its holder's reveal came into a block is asked only where there is none, as blocks are
// made by others.
func Tally(power int, votes []Attestation, holders []Holder) staking.RoundResult {
	r := staking.RoundResult{Outcomes: make([]staking.Outcome, len(holders))}
	for s, h := range holders {
		r.Outcomes[s] = outcome(power, votes, h, blob.Shard(s))
	}
	return r
}

func outcome(power int, votes []Attestation, h Holder, shard blob.Shard) staking.Outcome {
	seen, missed := heard(power, votes, h, shard)
	switch {
	case !h.Ready:
		return staking.Unready
	case h.Declared || !h.Lately:
		return staking.Away
	case seen:
		return staking.Passed
	case !h.There:
		return staking.Away
	case missed:
		return staking.Failed
	}
	return staking.Inconclusive
}

// Seen says whether a shard's proof was seen by as many as it needs.
func Seen(power int, votes []Attestation, h Holder, shard blob.Shard) bool {
	seen, _ := heard(power, votes, h, shard)
	return seen
}

// heard says whether a shard's proof was seen by so many that it holds, and whether it
// was missed by so many that there was none.
func heard(power int, votes []Attestation, h Holder, shard blob.Shard) (seen, missed bool) {
	yes, no, rest := 0, 0, power
	for i, v := range votes {
		switch {
		case i == h.Node:
			rest -= v.Power
		case v.Yes.Has(shard):
			yes += v.Power
		case v.Listened:
			no += v.Power
		}
	}
	return 3*yes > rest, 3*no > 2*rest
}
