package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Power is how the shards of an epoch, and with them the power in the agreement, are
// spread.
type Power struct {
	Stake   token.Amount   // that counts, of all nodes of the committee
	Largest staking.NodeID // the node with the most shards
	Shards  int            // that it has
	Cap     int            // what one node is given while others have the stake for the rest
	Third   token.Amount   // stake with which a newcomer would get more than a third of the shards
}

// Lifted says that the cap gave way: the failure of the largest node weighs more.
func (p Power) Lifted() bool { return p.Shards > p.Cap }

// Power works out how the shards of a committee are spread, and what a third would cost
// at the stakes of now.
func (v View) Power(c Committee, p Params) (out Power, err error) {
	var list []staking.Candidate
	for _, m := range c.Nodes {
		if m.Shards > out.Shards {
			out.Largest, out.Shards = m.ID, m.Shards
		}
		pool, there, err := v.Pool(m.ID)
		if err == nil && !there {
			err = fmt.Errorf("node %s has no pool: %w", m.ID, ErrAbsent)
		}
		if err != nil {
			return out, err
		}
		stake := pool.Counted(c.Epoch+1, p.Staking)
		if out.Stake, err = out.Stake.Add(stake); err != nil {
			return out, err
		}
		list = append(list, staking.Candidate{ID: m.ID, Stake: stake, Capacity: p.Shards})
	}
	out.Cap = staking.Cap(p.Shards, len(list))
	out.Third = staking.CostOfPower(p.Shards, list)
	return out, nil
}
