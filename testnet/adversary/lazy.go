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
// declares nothing: it wants to be paid for a disk that it does not have. A round that
// asks for one of them is failed for its shard, unpaid, and counts for the ladder: from
// a tenth of failed rounds in an epoch on, stake is taken. The rest of its shards is paid.
type Lazy struct {
	Drops float64 // part of the places, from 0 to 1
}

// Conduct is how such a node acts.
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

// dropped says whether a thing is of the part that is dropped: always the same of the
// same name.
func dropped(part float64, name []byte) bool {
	h := sha256.Sum256(name)
	return float64(binary.BigEndian.Uint64(h[:])>>11)/(1<<53) < part
}
