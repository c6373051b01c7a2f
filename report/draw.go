package report

import (
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/unit"
)

// LastDraw is the result of the last round in which a blob was drawn.
type LastDraw struct {
	ChallengeRound
	Height       unit.Height `json:"height"`        // height of the draw
	Time         time.Time   `json:"time"`          // time of that block, UTC
	Stripes      uint64      `json:"stripes"`       // stripes of the blob that were asked for
	Passed       int         `json:"passed_shards"` // shards, as in the next four
	Failed       uint64      `json:"failed_shards"`
	Away         uint64      `json:"away_shards"`
	Inconclusive uint64      `json:"inconclusive_shards"`
	Unready      uint64      `json:"unready_shards"` // not asked: the holder was not ready
	Void         bool        `json:"void"`           // no node was blamed; passes count all the same
}

// ChallengeRound names a round of challenges.
type ChallengeRound struct {
	Epoch   unit.Epoch   `json:"epoch"`
	Round   unit.Round   `json:"round"`   // number in the epoch
	Ordinal unit.Ordinal `json:"ordinal"` // number among all rounds of the chain
}

func drawOf(d ledger.LastDraw, shape blob.Shape) *LastDraw {
	passed := shape.N - int(d.Failed+d.Away+d.Unclear+d.Unready)
	return &LastDraw{ChallengeRound{d.Round.Epoch, d.Round.Round, d.Ordinal}, d.Height, time.UnixMilli(d.TimeMs).UTC(), d.Stripes,
		passed, d.Failed, d.Away, d.Unclear, d.Unready, d.Void}
}

// PassRate is how many of the shard-rounds of an epoch the nodes passed so far.
type PassRate struct {
	Rounds   uint64  `json:"rounds"`   // rounds of the epoch that are over
	Passed   uint64  `json:"passed"`   // shard-rounds
	Assigned uint64  `json:"assigned"` // shard-rounds
	Rate     float64 `json:"rate"`     // Passed / Assigned, 0 to 1
}

// PassRate is that of all nodes in the present epoch; nil before its first round is over.
// The errors are those of the view.
func (n Now) PassRate() (*PassRate, error) {
	tally, err := n.View.Tally(n.Head.Epoch)
	if err != nil || tally.Tallied == 0 {
		return nil, err
	}
	rate := PassRate{Rounds: tally.Tallied}
	for _, c := range tally.Nodes {
		rate.Passed, rate.Assigned = rate.Passed+c.Passed, rate.Assigned+c.Assigned
	}
	rate.Rate = float64(rate.Passed) / float64(max(1, rate.Assigned))
	return &rate, nil
}
