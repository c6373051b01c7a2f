package adversary

import (
	"context"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Silent proves nothing and declares nothing, but takes part in the ledger and votes on
// others. All its rounds are failed: it is paid nothing, and more than half of an
// epoch's rounds failed while it was online cost it stake and, by and by, its shards.
type Silent struct{}

// Conduct is how such a node acts.
func (Silent) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{
		Prove: func(context.Context, rounds.Part) ([]challenge.Proof, []blob.Shard) { return nil, nil },
	}}
}
