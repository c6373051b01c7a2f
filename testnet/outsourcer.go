package testnet

import (
	"context"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/node"
)

// Outsourcer deletes everything once it is certified, and has its neighbours rebuild
// what it is asked for, as repair does: they would be its disk. Honest nodes keep every
// answer about a drawn stripe back until the deadline, so that it has something to prove
// only when it is too late, and has promised nothing before. It fails like one that says
// nothing.
type Outsourcer struct{}

// Conduct is how such a node acts.
func (o Outsourcer) Conduct() node.Conduct {
	return node.Conduct{Keeps: func(blob.ID, blob.Place) bool { return false }, Prove: o.prove}
}

// prove tries for some time longer than it has.
func (Outsourcer) prove(ctx context.Context, p node.Part) ([]challenge.Proof, []blob.Shard) {
	const tries = 20
	ctx, cancel := context.WithTimeout(ctx, 2*p.Span())
	defer cancel()
	defer func() { _ = p.LetGo(context.WithoutCancel(ctx)) }() // again; what stays is found the next time
	for ctx.Err() == nil {
		if p.Fetch(ctx) == nil {
			break
		}
		wait(ctx, p.Span()/tries+time.Millisecond)
	}
	proofs, _ := p.Prove()
	return proofs, nil
}
