package adversary

import (
	"context"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Outsourcer deletes everything once it is certified, and has its neighbours rebuild
// what it is asked for, as repair does: they would be its disk. Honest nodes keep every
// answer about a drawn stripe back until the deadline, so that it has something to prove
// only when it is too late, and has promised nothing before. It fails like one that says
// nothing.
type Outsourcer struct{}

// Conduct is how such a node acts.
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

// prove tries for twice the time that it has.
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

// rebuild rebuilds the fragments that a round asks of the node.
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

// letGo drops them again. A fragment that stays after an error is dropped the next time.
func letGo(ctx context.Context, n *node.Node, p rounds.Part) {
	for _, s := range p.Shards() {
		for _, q := range p.Questions(s) {
			if n.LetGo(ctx, q.Blob, []blob.Place{q.Place}) != nil {
				return
			}
		}
	}
}
