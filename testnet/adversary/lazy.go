package adversary

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Lazy drops a part of its fragments once they are certified, never repairs them, and
// declares no loss: it wants to be paid for a disk that it does not have. A shard-round
// that asks for a dropped fragment is failed and unpaid, and counts for the ladder: from a
// tenth of failed rounds in an epoch on, stake is taken. Its other shard-rounds are paid.
type Lazy struct {
	Drops float64 // dropped places / places of a blob, 0 to 1
}

// Conduct keeps only a part of the fragments and hides the loss.
func (l Lazy) Conduct() node.Conduct {
	return node.Conduct{
		Keeps: func(id blob.ID, p blob.Place) bool {
			return !dropped(l.Drops, binary.BigEndian.AppendUint64(id[:], uint64(p)))
		},
		Rounds: rounds.Conduct{Prove: func(_ context.Context, p rounds.Part) ([]challenge.Proof, []blob.Shard) {
			proofs, _ := p.Prove() // it declares no loss
			return proofs, nil
		}},
	}
}

// dropped reports whether a name is in the dropped part. It depends on both alone, and a
// larger part contains a smaller one.
func dropped(part float64, name []byte) bool {
	h := sha256.Sum256(name)
	return float64(binary.BigEndian.Uint64(h[:])>>11)/(1<<53) < part
}
