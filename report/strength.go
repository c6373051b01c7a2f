package report

import (
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// Strength is how likely the challenges find what a node has lost, at the blobs of now.
type Strength struct {
	Blobs        uint64      `json:"blobs"`         // blobs that can be drawn now
	Draws        float64     `json:"draws"`         // stripes that a round asks every shard for
	RoundSeconds float64     `json:"round_seconds"` // seconds of a round, nominal
	Span         string      `json:"span"`          // a time of several rounds: minute, hour or day
	Rounds       float64     `json:"rounds"`        // rounds of the span
	Caught       []Detection `json:"caught"`        // for a loss of 1 %, 5 % and 10 %
}

// Detection is the probability that a shard is asked for a fragment that it has lost.
type Detection struct {
	Lost  float64 `json:"lost"`            // part of the fragments, 0 to 1
	Round float64 `json:"within_a_round"`  // probability, 0 to 1
	Span  float64 `json:"within_the_span"` // probability, 0 to 1
}

// Strength works the figure out for a committee and the blobs that can be drawn now.
// Where there is none, out is nil and none gives the reason.
func (n Now) Strength(c ledger.Committee, u ledger.Usage) (out *Strength, none string) {
	switch {
	case !n.Params.Challenged || n.Params.Challenge.Draws() == 0:
		return nil, "this network asks no node for proof"
	case len(c.Validators()) < staking.MinNodes:
		return nil, fmt.Sprintf("fewer than %d nodes: no node can judge another, and none is asked", staking.MinNodes)
	}
	of, ok := SamplingOf(n.Params, u)
	if !ok {
		return nil, "no blob can be drawn yet: each can a round after its certificate"
	}
	out = &Strength{Blobs: of.Blobs, Draws: of.Drawn, RoundSeconds: of.Round.Seconds()}
	out.Span, out.Rounds = of.Span()
	for _, lost := range []float64{0.01, 0.05, 0.10} {
		out.Caught = append(out.Caught, Detection{lost, of.Caught(lost, 1), of.Caught(lost, out.Rounds)})
	}
	return out, ""
}
