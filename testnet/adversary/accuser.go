package adversary

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Accuser proves what it holds, and attests in every vote that it listened and heard no
// proof: it wants other nodes to fail. A shard fails only if voters with more than two
// thirds of the power, its holder excluded, miss its proof, and passes if more than a
// third heard it. Accusers with less than a third of the power change nothing, and gain
// nothing either: no node's pay grows by another node's failure.
type Accuser struct{}

// Conduct denies every proof in the node's attestations.
func (Accuser) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{Attest: func(a rounds.Attestation) rounds.Attestation {
		a.Listened, a.Yes = true, blob.NewSet[blob.Shard](a.Shards)
		return a
	}}}
}
