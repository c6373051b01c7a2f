package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// TrialBalance adds up all the money of the ledger. It reads every account and pool, and
// is for checkers, not for blocks.
type TrialBalance struct {
	Accounts, Pools, Buckets, Carry, Escrow, Allowances, Subsidy, Insurance, Repair, Disputes, Burned, Total token.Amount
}

// Balanced says that no FROST was made or lost.
func (a TrialBalance) Balanced() bool {
	sum := token.Amount(0)
	for _, part := range []token.Amount{a.Accounts, a.Pools, a.Buckets, a.Carry, a.Escrow, a.Allowances, a.Subsidy, a.Insurance, a.Repair, a.Disputes, a.Burned} {
		var err error
		if sum, err = sum.Add(part); err != nil {
			return false
		}
	}
	return sum == a.Total
}

// TrialBalance adds up all the money there is.
func (v View) TrialBalance() (a TrialBalance, err error) {
	s, err := v.Supply()
	if err != nil {
		return a, err
	}
	a.Carry, a.Escrow, a.Allowances, a.Burned, a.Total = s.Carry, s.Escrow, s.Allowances, s.Burned, s.Total
	a.Subsidy, a.Insurance, a.Repair = s.Subsidy, s.Insurance, s.Repair
	err = each(v, key(letterAccount), func(_ []byte, acc Account) (err error) {
		a.Accounts, err = a.Accounts.Add(acc.Balance)
		return err
	})
	if err == nil {
		err = each(v, key(letterPool), func(_ []byte, p staking.Pool) (err error) {
			a.Pools, err = a.Pools.Add(p.Total())
			return err
		})
	}
	if err == nil {
		err = each(v, key(letterBucket), func(_ []byte, b token.Amount) (err error) {
			a.Buckets, err = a.Buckets.Add(b)
			return err
		})
	}
	if err == nil {
		err = v.EachDispute(func(_ unit.Ordinal, _ blob.Shard, d DisputeRecord) (err error) {
			a.Disputes, err = a.Disputes.Add(d.Bond)
			return err
		})
	}
	return a, err
}
