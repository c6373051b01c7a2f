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

// Replayer proves one round as it should. From then on it sends those proofs again,
// and others' proofs of the round under way with its own shards' numbers. An old proof
// is of a round that is over and of another beacon, and is ignored; one of another's is
// not signed by the shard's holder, is rejected, and whoever sent it is avoided. So it
// fails as one that says nothing does. It cannot be shown to have lied: it signed nothing
// that is false.
type Replayer struct {
	mu  sync.Mutex // guards the field below
	old []challenge.Proof
}

// Conduct is how such a node acts.
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

// send sends what prove gave, and what it can steal until half of the time is over.
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

// first says whether this is the round that it proved.
func (r *Replayer) first(p rounds.Part) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.old) > 0 && r.old[0].Round == p.Round()
}
