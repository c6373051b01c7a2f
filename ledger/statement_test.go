package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// The records of an epoch go together: with a part of them no figure can be worked out.
func TestAllRecordsOfAnEpochAreKeptEquallyLong(t *testing.T) {
	p := judged()
	p.HistoryEpochs = 3
	c := newCourt(t, p, 5)
	for range 6 {
		c.epoch()
	}
	for epoch := range unit.Epoch(6) {
		_, s, err := c.view().Statement(epoch, c.g.Nodes[0].ID)
		_, b, err2 := c.view().Books(epoch)
		_, terms, err3 := c.view().Terms(epoch)
		if kept := epoch+3 > 6; err != nil || err2 != nil || err3 != nil || s != kept || b != kept || terms != kept {
			t.Errorf("epoch %d: statement %v, books %v, terms %v", epoch, s, b, terms)
		}
	}
}

func TestASharesGainIsRoundedDownAndItsLossUp(t *testing.T) {
	s := Statement{Price: staking.Rate{Balance: 100, Shares: 3}, Payment: staking.Payment{Delegators: 10}, Cut: staking.Cut{Balance: 10}}
	if s.GainOf(1) != 3 || s.LossOf(1) != 4 || s.GainOf(9) != 10 || (Statement{}).GainOf(1) != 0 || (Statement{}).LossOf(1) != 0 {
		t.Errorf("%d, %d, %d", s.GainOf(1), s.LossOf(1), s.GainOf(9))
	}
}
