package adversary

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Withholder makes its proofs, but gossips none, and gives them to only a few of the peers
// that pull them: it wants the network divided about its shards. A node that has a proof
// attests it and passes it on. If voters with more than a third of the power have it, the
// shard passes, which is right, since the proof exists; with fewer the shard is not paid.
// No voter is punished for its attestation.
type Withholder struct {
	Shown int // peers that get its proofs

	mu  sync.Mutex // guards the field below
	few map[peer.ID]bool
}

// Conduct withholds the node's proofs from most peers.
func (w *Withholder) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{
		Send:  func(context.Context, rounds.Part, [][]byte) error { return nil },
		Shows: w.shows,
	}}
}

// shows chooses the first peers that ask, and stays with them.
func (w *Withholder) shows(to peer.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.few == nil {
		w.few = map[peer.ID]bool{}
	}
	if len(w.few) < w.Shown {
		w.few[to] = true
	}
	return w.few[to]
}
