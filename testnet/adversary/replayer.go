package adversary

import (
	"context"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Replayer proves one round honestly. In later rounds it sends those proofs again, and
// other nodes' proofs of the present round with the numbers of its own shards. Nodes
// ignore an old proof, which belongs to another round and beacon. They reject a stolen
// one, which the shard's holder did not sign, and avoid its sender. The replayer fails like
// a silent node, but cannot be convicted: it signed no false proof.
type Replayer struct {
	mu  sync.Mutex // guards the field below
	old []challenge.Proof
}

// Conduct replays proofs.
func (r *Replayer) Conduct() node.Conduct {
	return node.Conduct{Rounds: rounds.Conduct{Prove: r.prove, Send: r.send}}
}

func (r *Replayer) prove(_ context.Context, p rounds.Part) ([]challenge.Proof, []blob.Shard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.old == nil {
		r.old, _ = p.Prove()
	}
	return r.old, nil
}

// send sends prove's proofs, and one that it can steal in the first half of the time
// until the deadline.
func (r *Replayer) send(ctx context.Context, p rounds.Part, messages [][]byte) error {
	if err := p.Publish(ctx, messages); err != nil || len(p.Shards()) == 0 {
		return err
	}
	if r.first(p) {
		return nil
	}
	const looks = 10
	for range looks {
		for _, s := range p.Others() {
			if m, heard := p.Received(s); heard {
				m.Proof.Shard = p.Shards()[0]
				return p.Publish(ctx, [][]byte{m.Encode()})
			}
		}
		pause(ctx, p.Span()/(2*looks)+time.Millisecond)
	}
	return nil
}

// first reports whether this is the round that it proved honestly.
func (r *Replayer) first(p rounds.Part) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.old) > 0 && r.old[0].Round == p.Round()
}
