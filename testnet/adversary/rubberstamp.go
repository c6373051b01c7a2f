package adversary

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Rubberstamp attests in every vote that it heard all proofs, and checks none: it saves the
// work, or helps an accomplice without proofs. Rubberstamps with less than a third of the
// power cannot make an unproven shard pass, and cannot answer a dispute about it.
type Rubberstamp struct{}

// Conduct confirms every proof in the node's attestations.
func (Rubberstamp) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{Attest: func(a rounds.Attestation) rounds.Attestation {
		a.Listened, a.Yes = true, slices.Clone(a.Yes)
		for s := range blob.Shard(a.Shards) {
			a.Yes.Add(s)
		}
		return a
	}}}
}
