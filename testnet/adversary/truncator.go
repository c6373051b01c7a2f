package adversary

import (
	"context"
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Truncator keeps something of every fragment: of each, extended to the places of the
// whole network, it keeps all hashes and drops a part of the symbols. That is the best
// that one can do who wants to have something to show for every blob; who drops source
// symbols as they lie on the disk cannot even make the parity. Each question asks for
// several symbols of the extended fragment, so that it fails most of its rounds however
// little it drops, as one does who drops whole fragments.
//
// The bytes that it dropped stay on the disk, and it answers none of them.
type Truncator struct {
	Drops float64 // part of each fragment's symbols, from 0 to 1
}

// Conduct is how such a node acts.
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
