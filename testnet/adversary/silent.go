package adversary

import (
	"context"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Silent proves nothing and declares no loss, but takes part in the ledger and attests
// other nodes' proofs. All its shard-rounds are failed: it is paid nothing, and more than
// half of an epoch's rounds failed while online cost it stake and, step by step, its shards.
type Silent struct{}

// Conduct makes no proofs.
func (Silent) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{
		Prove: func(context.Context, rounds.Part) ([]challenge.Proof, []blob.Shard) { return nil, nil },
	}}
}
