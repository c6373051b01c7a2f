package staking

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Params are the numbers of staking. Parts are in 1/10000 (Bps).
type Params struct {
	_                struct{}     `cbor:",toarray"`
	MinBond          token.Amount // of the operator's own, for a node to be given shards
	BondBps          unit.Bps     // part of the counted stake that must be the operator's own
	MinDelegation    token.Amount // least deposit of a delegator; also what a new pool sets aside for good
	UnbondingEpochs  uint64       // whole epochs after the last for which stake counted, until it is paid out
	MaxCommissionBps unit.Bps     // of what a node is paid, to its operator
	CommissionNotice uint64       // epochs before a higher commission acts, counted as UnbondingEpochs are
	PriceBoundBps    unit.Bps     // most that a price moves from one epoch to the next
	Pay              PayParams
	Ladder           Ladder
}

// PayParams are the numbers of pay: what is kept of it, and for how long.
type PayParams struct {
	_            struct{} `cbor:",toarray"`
	FeeBps       unit.Bps // of an epoch's pool, before it is shared
	InsuranceBps unit.Bps // of all stake: how much the insurance fund takes in; beyond it the fee is burned
	BurnBps      unit.Bps // of what no node earned; the rest goes to the repair fund
	HoldBps      unit.Bps // of a reward: held back
	FreshHoldBps unit.Bps // the same, in a node's first epochs
	FreshEpochs  uint64   // how many these are
	Tranches     uint64   // in which it is paid out, one an epoch
	ReleaseBps   unit.Bps // least part of its shard-rounds a node passes for a tranche to be paid
}

// Ladder are the numbers of punishment, rung by rung.
type Ladder struct {
	_          struct{}     `cbor:",toarray"`
	PassBps    unit.Bps     // rung 1: below, no new shards
	FailBps    [3]unit.Bps  // rungs 2, 3, 4: undeclared failures above this part of the shard-rounds
	FailSlash  [3]unit.Bps  // and the part of the stake that they cost
	AwayBps    [2]unit.Bps  // rungs 5, 6: offline or declared above this, two epochs in a row
	AwaySlash  [2]unit.Bps  //
	LateEpochs uint64       // rung 6 also: epochs a receiver may take to become ready
	LieSlash   unit.Bps     // rung 7: for each proven lie
	LieMost    unit.Bps     // and at most so much in an epoch
	LiesOut    uint64       // so many within LieEpochs: out for good
	LieEpochs  uint64       //
	VoteSlash  unit.Bps     // rung 8
	DoubleSign unit.Bps     // rung 9: at least; see doubleSignBps
	ProveBps   unit.Bps     // rung 10: proven less than this part of the shard-rounds, two epochs in a row
	ProveSlash unit.Bps     //
	BountyBps  unit.Bps     // of a slash, to the finder that showed the proof
	BountyMost token.Amount // and at most so much
	RepairBps  unit.Bps     // of a slash, to the repair fund; what is left is burned
	JailEpochs uint64       // how long a node in jail earns nothing
}

// Default is for a real network.
func Default() Params {
	return Params{
		MinBond: 1000 * token.WAL, BondBps: 200, MinDelegation: token.WAL, UnbondingEpochs: 2, MaxCommissionBps: unit.Whole, CommissionNotice: 4, PriceBoundBps: 2000,
		Pay: PayParams{FeeBps: 200, InsuranceBps: 200, BurnBps: 5000, HoldBps: 2000, FreshHoldBps: 5000, FreshEpochs: 4, Tranches: 8, ReleaseBps: 9000},
		Ladder: Ladder{
			PassBps: 9000, FailBps: [3]unit.Bps{1000, 2500, 5000}, FailSlash: [3]unit.Bps{50, 200, 500},
			AwayBps: [2]unit.Bps{3300, 6600}, AwaySlash: [2]unit.Bps{50, 1000}, LateEpochs: 2,
			LieSlash: 100, LieMost: 500, LiesOut: 3, LieEpochs: 8, VoteSlash: 20, DoubleSign: 500, ProveBps: 5000, ProveSlash: 500,
			BountyBps: 500, BountyMost: 100 * token.WAL, RepairBps: 4500, JailEpochs: 1,
		},
	}
}

// Validate refuses numbers that do not fit together.
func (p Params) Validate() error {
	switch {
	case p.MinDelegation == 0:
		return fmt.Errorf("staking: MinDelegation is zero: a pool without shares set aside can be robbed by its first depositor")
	case p.MinBond < p.MinDelegation:
		return fmt.Errorf("staking: MinBond %s is below MinDelegation %s", p.MinBond, p.MinDelegation)
	case p.BondBps < 1 || p.BondBps > unit.Whole:
		return fmt.Errorf("staking: BondBps %d: must be 1 to %d", p.BondBps, unit.Whole)
	case p.UnbondingEpochs < 1 || p.UnbondingEpochs > 100:
		return fmt.Errorf("staking: UnbondingEpochs %d: must be 1 to 100", p.UnbondingEpochs)
	case p.MaxCommissionBps > unit.Whole:
		return fmt.Errorf("staking: MaxCommissionBps %d is more than everything", p.MaxCommissionBps)
	case p.CommissionNotice < p.UnbondingEpochs+2 || p.CommissionNotice > 102:
		return fmt.Errorf("staking: CommissionNotice %d: must be %d to 102: a deposit that is waiting joins an epoch later, and unbonds in %d more; its delegator must be out before a higher commission acts", p.CommissionNotice, p.UnbondingEpochs+2, p.UnbondingEpochs+1)
	case p.PriceBoundBps > unit.Whole:
		return fmt.Errorf("staking: PriceBoundBps %d: a price cannot fall by more than all of it", p.PriceBoundBps)
	}
	if err := p.Pay.validate(); err != nil {
		return err
	}
	return p.Ladder.validate()
}

func (p PayParams) validate() error {
	for _, bps := range []unit.Bps{p.FeeBps, p.InsuranceBps, p.BurnBps, p.HoldBps, p.FreshHoldBps, p.ReleaseBps} {
		if bps > unit.Whole {
			return fmt.Errorf("staking: %d/10000 is more than everything: %+v", bps, p)
		}
	}
	if p.Tranches < 1 || p.Tranches > 64 || p.FreshEpochs > 1000 {
		return fmt.Errorf("staking: %d tranches (1 to 64), %d fresh epochs (at most 1000)", p.Tranches, p.FreshEpochs)
	}
	return nil
}

// mostLies is the most proven lies that a ladder may let pass. Each that counts lies in the
// record of its node.
const mostLies = 1000

func (l Ladder) validate() error {
	parts := []unit.Bps{l.PassBps, l.LieSlash, l.LieMost, l.VoteSlash, l.DoubleSign, l.ProveBps, l.ProveSlash, l.BountyBps, l.RepairBps, l.BountyBps + l.RepairBps}
	parts = append(append(parts, l.FailBps[:]...), l.FailSlash[:]...)
	for _, bps := range append(append(parts, l.AwayBps[:]...), l.AwaySlash[:]...) {
		if bps > unit.Whole {
			return fmt.Errorf("staking: %d/10000 is more than everything: %+v", bps, l)
		}
	}
	switch {
	case l.FailBps[0] >= l.FailBps[1] || l.FailBps[1] >= l.FailBps[2] || l.AwayBps[0] >= l.AwayBps[1]:
		return fmt.Errorf("staking: the ladder does not rise: %+v", l)
	case l.LateEpochs < 2 || l.LateEpochs > 100 || l.JailEpochs > 100 || l.LiesOut < 1 || l.LiesOut > mostLies || l.LieEpochs < 1 || l.LieEpochs > 1000:
		return fmt.Errorf("staking: the ladder's times are beyond reason: %+v", l)
	}
	return nil
}

// Seated says whether the operator's own stake is enough for the node to be given
// shards. What a new pool set aside counts.
func (p Params) Seated(pool Pool) bool { return mustAdd(pool.Bond, pool.Dead) >= p.MinBond }
