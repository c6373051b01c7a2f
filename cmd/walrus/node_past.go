package main

import (
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// defaultPast is how many of the last epochs nodes are judged by for people.
const defaultPast = 8

// past is what became of a node at the end of an epoch.
type past struct {
	epoch uint64
	ledger.Statement
}

// pasts reads the statements of nodes for the last epochs, oldest first. An epoch of
// which there is none is left out.
func (s *session) pasts(ids []staking.NodeID, epochs uint64) (map[staking.NodeID][]past, error) {
	first := s.head.Epoch - min(s.head.Epoch, min(epochs, s.params.HistoryEpochs))
	var keys [][]byte
	for epoch := first; epoch < s.head.Epoch; epoch++ {
		for _, id := range ids {
			keys = append(keys, ledger.KeyStatement(epoch, id))
		}
	}
	if err := s.prefetch(keys); err != nil {
		return nil, err
	}
	out := map[staking.NodeID][]past{}
	for _, id := range ids {
		if _, done := out[id]; done {
			continue
		}
		out[id] = nil
		for epoch := first; epoch < s.head.Epoch; epoch++ {
			st, ok, err := s.view.Statement(epoch, id)
			if err != nil {
				return nil, err
			}
			if ok {
				out[id] = append(out[id], past{epoch, st})
			}
		}
	}
	return out, nil
}

// returns is what a delegator's stake brought in a year, if all epochs were like those.
type returns struct {
	Mean   float64 `json:"mean_percent"`
	Low    float64 `json:"low_percent"`
	High   float64 `json:"high_percent"`
	Epochs int     `json:"epochs"` // it is worked out from
}

// yearly works out the return: of each epoch since the first on record, what the
// delegators were paid for each FROST of theirs, times the epochs of a year. Nothing is
// put to work again, and slashes are not in it.
func (n now) yearly(p []past) *returns {
	if len(p) == 0 {
		return nil
	}
	year := float64(365*24*time.Hour/time.Millisecond) / float64(n.params.EpochBlocks()*n.params.BlockMs)
	r := returns{Epochs: int(n.head.Epoch - p[0].epoch)}
	var sum float64
	for i, one := range p {
		rate := 0.0
		if one.Weight.Balance > 0 {
			rate = 100 * year * float64(one.Payment.Delegators) / float64(one.Weight.Balance)
		}
		if i == 0 || rate < r.Low {
			r.Low = rate
		}
		r.High = max(r.High, rate)
		sum += rate
	}
	if len(p) < r.Epochs {
		r.Low = 0 // an epoch without a statement brought nothing
	}
	r.Mean = sum / float64(r.Epochs)
	return &r
}

// slashed is one slash.
type slashed struct {
	Epoch  uint64       `json:"epoch"`
	Rung   uint8        `json:"rung"`
	Amount token.Amount `json:"amount"`
}

func slashes(p []past) []slashed {
	out := []slashed{}
	for _, one := range p {
		if one.Verdict.Bps > 0 {
			out = append(out, slashed{one.epoch, one.Verdict.Rung, one.Cut.Total()})
		}
	}
	return out
}

// passed is how many of the shard-rounds that a node was given it passed.
type passed struct {
	Passed   uint64 `json:"passed"`
	Assigned uint64 `json:"assigned"`
}

func (p *passed) add(c staking.Credit) {
	p.Passed, p.Assigned = p.Passed+c.Passed, p.Assigned+c.Assigned
}
