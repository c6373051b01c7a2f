package staking

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
)

// Params are the numbers of staking.
type Params struct {
	_                struct{}     `cbor:",toarray"`
	MinBond          token.Amount // of the operator's own, for a node to be given shards
	MinDelegation    token.Amount // least deposit of a delegator; also what a new pool sets aside for good
	UnbondingEpochs  uint64       // whole epochs from asking for stake back to getting it
	MaxCommissionBps uint64       // of what a node earns, to its operator, in 1/10000
	DoubleSignBps    uint64       // least part of the stake that a double sign costs, in 1/10000
}

// Default is for a real network.
func Default() Params {
	return Params{MinBond: 1000 * token.WAL, MinDelegation: token.WAL, UnbondingEpochs: 2, MaxCommissionBps: whole, DoubleSignBps: 500}
}

// Validate refuses numbers that do not fit together.
func (p Params) Validate() error {
	switch {
	case p.MinDelegation == 0:
		return fmt.Errorf("staking: MinDelegation is zero: a pool without shares set aside can be robbed by its first depositor")
	case p.MinBond < p.MinDelegation:
		return fmt.Errorf("staking: MinBond %s is below MinDelegation %s", p.MinBond, p.MinDelegation)
	case p.UnbondingEpochs < 1 || p.UnbondingEpochs > 100:
		return fmt.Errorf("staking: UnbondingEpochs %d: must be 1 to 100", p.UnbondingEpochs)
	case p.MaxCommissionBps > whole:
		return fmt.Errorf("staking: MaxCommissionBps %d is more than everything", p.MaxCommissionBps)
	case p.DoubleSignBps > whole:
		return fmt.Errorf("staking: DoubleSignBps %d is more than everything: at most %d", p.DoubleSignBps, whole)
	}
	return nil
}

// Seated says whether the operator's own stake is enough for the node to be given
// shards. What a new pool set aside counts.
func (p Params) Seated(pool Pool) bool { return pool.Bond >= p.MinBond-p.MinDelegation }
