package report

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// EpochStatement is the ledger's statement of a node's pay and stake at an epoch's end.
type EpochStatement struct {
	Epoch unit.Epoch
	ledger.Statement
}

// Statements reads the statements of nodes for the last epochs that have ended, oldest
// first; at most as many epochs as the ledger keeps. An epoch without a statement is left
// out, and a node without one has an empty list. The errors are those of the view.
func (n Now) Statements(ids []staking.NodeID, epochs uint64) (map[staking.NodeID][]EpochStatement, error) {
	first := n.firstStated(epochs)
	var keys [][]byte
	for _, id := range ids {
		keys = append(keys, n.statementKeys(id, epochs)...)
	}
	if err := n.Prefetch(keys...); err != nil {
		return nil, err
	}
	out := map[staking.NodeID][]EpochStatement{}
	for _, id := range ids {
		if _, done := out[id]; done {
			continue
		}
		out[id] = nil
		for epoch := first; epoch < n.Head.Epoch; epoch++ {
			st, ok, err := n.View.Statement(epoch, id)
			if err != nil {
				return nil, err
			}
			if ok {
				out[id] = append(out[id], EpochStatement{epoch, st})
			}
		}
	}
	return out, nil
}

// firstStated is the first of the last epochs whose statements the ledger keeps.
func (n Now) firstStated(epochs uint64) unit.Epoch {
	return n.Head.Epoch.Minus(min(epochs, n.Params.HistoryEpochs))
}

func (n Now) statementKeys(id staking.NodeID, epochs uint64) (keys [][]byte) {
	for epoch := n.firstStated(epochs); epoch < n.Head.Epoch; epoch++ {
		keys = append(keys, ledger.KeyStatement(epoch, id))
	}
	return keys
}

// Slash is a slash of a node at the end of an epoch.
type Slash struct {
	Epoch  unit.Epoch   `json:"epoch"`
	Rung   uint8        `json:"rung"`   // of the ladder of penalties, 1 the mildest
	Amount token.Amount `json:"amount"` // of bond and delegations
}

// Slashes lists the slashes in statements; never nil.
func Slashes(statements []EpochStatement) []Slash {
	out := []Slash{}
	for _, st := range statements {
		if st.Verdict.Bps > 0 {
			out = append(out, Slash{st.Epoch, st.Verdict.Rung, st.Cut.Total()})
		}
	}
	return out
}

// ShardRounds counts the shard-rounds of a node: one for each of its shards in each round.
type ShardRounds struct {
	Passed   uint64 `json:"passed"`
	Assigned uint64 `json:"assigned"`
}

func (r *ShardRounds) add(c staking.Credit) {
	r.Passed, r.Assigned = r.Passed+c.Passed, r.Assigned+c.Assigned
}
