package adversary

import (
	"bytes"
	"context"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Forger sends proofs with wrong symbols under valid signatures. A node that receives
// one rejects it, avoids the peer that sent it, and shows the proof to the ledger, where
// it counts as a false proof whatever the round's tally is: it costs stake at the epoch's
// end, and three false proofs within some epochs put the node out.
type Forger struct{}

// Conduct forges the node's proofs.
func (Forger) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{
		Prove: func(_ context.Context, p rounds.Part) ([]challenge.Proof, []blob.Shard) {
			proofs, _ := p.Prove()
			for i := range proofs {
				forge(&proofs[i])
				proofs[i].Signature = p.Key().Sign(challenge.ProofMessage(p.Chain(), proofs[i]))
			}
			return proofs, nil
		},
	}}
}

// forge flips one bit of a proof's first symbol. A proof without symbols stays unchanged.
func forge(p *challenge.Proof) {
	if len(p.Openings) == 0 || len(p.Openings[0].Symbols) == 0 {
		return
	}
	s := bytes.Clone(p.Openings[0].Symbols[0])
	s[len(s)-1] ^= 1
	p.Openings[0].Symbols[0] = s
}
