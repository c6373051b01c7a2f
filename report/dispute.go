package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Dispute is the dispute of one shard's proof in one round.
type Dispute struct {
	Epoch    unit.Epoch     `json:"epoch"`
	Round    unit.Round     `json:"round"` // number in the epoch
	Shard    blob.Shard     `json:"shard"`
	Holder   staking.NodeID `json:"holder"` // of the shard, in that epoch
	Opener   token.Address  `json:"opener"`
	State    string         `json:"state"`            // in a word
	Opened   unit.Height    `json:"opened"`           // height
	AnswerBy unit.Height    `json:"answer_by"`        // height: the last block that may hold the proof
	Closed   unit.Height    `json:"closed,omitempty"` // height; 0: still open
}

// Disputes lists the disputes of the rounds that the ledger keeps, newest first. The
// errors are those of the view, and ledger.ErrNoCommittee.
func (n Now) Disputes() ([]Dispute, error) {
	out := []Dispute{}
	err := n.View.EachDispute(func(ordinal unit.Ordinal, shard blob.Shard, d ledger.DisputeRecord) error {
		r, kept, err := n.View.RoundOf(ordinal)
		if err != nil || !kept {
			return err
		}
		committee, err := n.View.Committee(r.Round.Epoch)
		if err != nil {
			return err
		}
		if int(shard) >= len(committee.Holder) {
			return fmt.Errorf("a dispute of shard %d of %d", shard, len(committee.Holder))
		}
		out = append(out, Dispute{Epoch: r.Round.Epoch, Round: r.Round.Round, Shard: shard, Holder: committee.Holder[shard],
			Opener: d.Opener, State: d.State.String(), Opened: d.Opened, AnswerBy: d.AnswerBy, Closed: d.Closed})
		return nil
	})
	slices.SortStableFunc(out, func(a, b Dispute) int { return cmp.Compare(b.Opened, a.Opened) })
	return out, err
}
