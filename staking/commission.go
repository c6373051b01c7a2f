package staking

import (
	"fmt"

	"github.com/walrus-network/walrus/unit"
)

// Commission is what an operator keeps of its node's pay from an epoch on.
type Commission struct {
	_     struct{} `cbor:",toarray"`
	Bps   unit.Bps
	Epoch unit.Epoch
}

// SetCommission announces a commission in epoch now. A lower one acts at the start of
// the next epoch. A higher one acts CommissionNotice epochs after counted, the last
// epoch whose committee is fixed. Unbonding counts from there too, and Params.Validate
// makes the notice longer than it, so that every delegation can be out before it acts,
// one that has not joined yet included. It replaces what was announced before.
func (p *Pool) SetCommission(bps unit.Bps, now, counted unit.Epoch, params Params) error {
	if bps > params.MaxCommissionBps {
		return fmt.Errorf("commission of %d/10000, at most %d: %w", bps, params.MaxCommissionBps, ErrTooMuch)
	}
	next := Commission{Bps: bps, Epoch: now + 1}
	if bps > p.CommissionBps {
		next.Epoch = counted.Plus(params.CommissionNotice)
	}
	p.NextCommission = []Commission{next}
	return nil
}

// turnCommission puts in force what has come due.
func (p *Pool) turnCommission(epoch unit.Epoch) (changed bool) {
	var rest []Commission
	for _, c := range p.NextCommission {
		if c.Epoch > epoch {
			rest = append(rest, c)
			continue
		}
		p.CommissionBps, changed = c.Bps, true
	}
	p.NextCommission = rest
	return changed
}
