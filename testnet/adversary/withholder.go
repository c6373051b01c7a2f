package adversary

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Withholder makes its proofs, but gossips none, and gives them to a few of those who
// ask for them only: it wants the network divided over who is right. Who has a proof
// says so and gives it on; if more than a third of the power have heard it the shard
// passes, as it should, since the proof is there. If fewer have, it is not paid. Nobody
// suffers for having heard it or not.
type Withholder struct {
	Shown int // peers that it shows its proofs to

	mu  sync.Mutex // guards the field below
	few map[peer.ID]bool
}

// Conduct is how such a node acts.
func (w *Withholder) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{
		Send:  func(context.Context, rounds.Part, [][]byte) error { return nil },
		Shows: w.shows,
	}}
}

// shows takes the first who ask, and stays with them.
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
