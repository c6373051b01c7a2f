package adversary

import (
	"context"
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Truncator keeps a part of every fragment: of each fragment, extended to N symbols, it
// keeps all hashes and drops a part of the symbols. That is the best strategy for a node
// that wants proofs for every blob: without all source symbols it could not compute the
// parity. Each question asks for several symbols of the extended fragment, so that even a
// truncator with a small dropped part fails most of its rounds.
//
// The dropped bytes stay on the disk here; the truncator only never proves with them.
type Truncator struct {
	Drops float64 // dropped symbols / symbols of a fragment, 0 to 1
}

// Conduct proves the shards whose questions miss every dropped symbol.
func (t Truncator) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{
		Prove: func(_ context.Context, p rounds.Part) (proofs []challenge.Proof, _ []blob.Shard) {
			for _, s := range p.Shards() {
				if !t.canAnswer(p.Questions(s)) {
					continue
				}
				if proof, err := p.ProveShard(s); err == nil {
					proofs = append(proofs, proof)
				}
			}
			return proofs, nil
		},
	}}
}

func (t Truncator) canAnswer(questions []challenge.Question) bool {
	for _, q := range questions {
		name := append(q.Blob[:], byte(q.Axis))
		name = binary.BigEndian.AppendUint64(name, uint64(q.Stripe))
		name = binary.BigEndian.AppendUint64(name, uint64(q.Place))
		for _, i := range q.At {
			if dropped(t.Drops, binary.BigEndian.AppendUint64(name[:len(name):len(name)], uint64(i))) {
				return false
			}
		}
	}
	return true
}
