package adversary

import (
	"bytes"
	"context"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Forger sends proofs whose symbols are wrong, and signs them as it should. Whoever
// hears one rejects it, avoids the peer that sent it, and shows it to the ledger, where
// it is a lie whatever else becomes of the round: it costs stake at the epoch's end, and
// three such lies within some epochs cost the node its place for good.
type Forger struct{}

// Conduct is how such a node acts.
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

// forge bends a bit of a proof's first symbol. A proof that answers nothing stays as it is.
func forge(p *challenge.Proof) {
	if len(p.Openings) == 0 || len(p.Openings[0].Symbols) == 0 {
		return
	}
	s := bytes.Clone(p.Openings[0].Symbols[0])
	s[len(s)-1] ^= 1
	p.Openings[0].Symbols[0] = s
}
