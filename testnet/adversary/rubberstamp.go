package adversary

import (
	"slices"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Rubberstamp says in every vote that it heard all proofs, and looks at none: it saves
// the work, or helps a friend who has nothing to show. Less than a third of the power
// cannot make a shard pass that did not prove; and who is asked in a dispute for a proof
// that it never heard has none to show.
type Rubberstamp struct{}

// Conduct is how such a node acts.
func (Rubberstamp) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{Attest: func(a rounds.Attestation) rounds.Attestation {
		a.Listened, a.Yes = true, slices.Clone(a.Yes)
		for s := range a.Shards {
			a.Yes[s/8] |= 1 << (s % 8)
		}
		return a
	}}}
}
