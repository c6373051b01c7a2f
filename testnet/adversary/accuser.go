package adversary

import (
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Accuser proves what it holds and says in every vote that it listened and heard
// nobody: it wants others to fail. A shard fails only if more than two thirds of the
// others' power miss its proof, and passes if more than a third heard it, so that
// accusers with less than a third of the power change nothing. They gain nothing either:
// nobody's pay grows by another's failure.
type Accuser struct{}

// Conduct is how such a node acts.
func (Accuser) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{Attest: func(a rounds.Attestation) rounds.Attestation {
		a.Listened, a.Yes = true, make([]byte, len(a.Yes))
		return a
	}}}
}
