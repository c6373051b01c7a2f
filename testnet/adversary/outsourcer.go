package adversary

import (
	"context"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Outsourcer deletes every fragment once it is certified, and rebuilds the drawn ones from
// other nodes, as repair does: they would be its disk. Honest nodes answer nothing about a
// drawn stripe until the deadline. The outsourcer has its fragments only when it is too
// late, and promised no proof before, so that it fails like a silent node.
type Outsourcer struct{}

// Conduct keeps nothing, and rebuilds what a round asks for.
func (o Outsourcer) Conduct() node.Conduct {
	var self *node.Node
	return node.Conduct{
		Keeps: func(blob.ID, blob.Place) bool { return false },
		Meet:  func(n *node.Node) { self = n },
		Rounds: rounds.Conduct{Prove: func(ctx context.Context, p rounds.Part) ([]challenge.Proof, []blob.Shard) {
			return o.prove(ctx, self, p)
		}},
	}
}

// prove tries for twice the time until the deadline.
func (Outsourcer) prove(ctx context.Context, n *node.Node, p rounds.Part) ([]challenge.Proof, []blob.Shard) {
	const tries = 20
	ctx, cancel := context.WithTimeout(ctx, 2*p.Span())
	defer cancel()
	defer letGo(context.WithoutCancel(ctx), n, p)
	for ctx.Err() == nil {
		if rebuild(ctx, n, p) == nil {
			break
		}
		pause(ctx, p.Span()/tries+time.Millisecond)
	}
	proofs, _ := p.Prove()
	return proofs, nil
}

// rebuild rebuilds the fragments that a round asks the node for.
func rebuild(ctx context.Context, n *node.Node, p rounds.Part) error {
	for _, s := range p.Shards() {
		for _, q := range p.Questions(s) {
			if err := n.Rebuild(ctx, p.Commitment(q.Blob), q.Position()); err != nil {
				return err
			}
		}
	}
	return nil
}

// letGo drops these fragments again. After an error they stay until the next round.
func letGo(ctx context.Context, n *node.Node, p rounds.Part) {
	for _, s := range p.Shards() {
		for _, q := range p.Questions(s) {
			if n.LetGo(ctx, q.Blob, []blob.Place{q.Place}) != nil {
				return
			}
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
