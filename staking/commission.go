package staking

import "fmt"

// Commission is what an operator keeps of its node's pay from an epoch on.
type Commission struct {
	_     struct{} `cbor:",toarray"`
	Bps   uint64
	Epoch uint64
}

// SetCommission announces a commission in epoch now. A lower one acts at the next
// epoch's start, a higher one after CommissionNotice epochs, so that whoever does not
// agree can take his stake elsewhere first. It takes the place of what was announced.
func (p *Pool) SetCommission(bps, now uint64, params Params) error {
	if bps > params.MaxCommissionBps {
		return fmt.Errorf("commission of %d/10000, at most %d: %w", bps, params.MaxCommissionBps, ErrTooMuch)
	}
	next := Commission{Bps: bps, Epoch: now + 1}
	if bps > p.CommissionBps {
		next.Epoch = now + params.CommissionNotice
	}
	p.NextCommission = []Commission{next}
	return nil
}

// turnCommission puts in force what has come due.
func (p *Pool) turnCommission(epoch uint64) (changed bool) {
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
