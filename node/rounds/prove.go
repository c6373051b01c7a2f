package rounds

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
)

// JitterPart: a node waits for a random part of (time until the deadline)/JitterPart
// before it sends its proofs, so that not all nodes send at once.
const JitterPart = 6

// submitLimit bounds the time that a declaration or an accusation waits for a block.
const submitLimit = 30 * time.Second

// prove proves the node's shards, takes the proofs into its own inbox and sends them.
// It declares the shards that it cannot prove.
func (p *Participant) prove(ctx context.Context, b *inbox) {
	part := Part{p, b}
	proofs, lost := p.conduct.prove(ctx, part)
	if len(lost) > 0 {
		p.Log.Warn("this node cannot prove what it should hold: it says so, and repairs", "epoch", b.state.Round.Epoch, "round", b.state.Round.Round, "shards", lost)
		p.task(func() { p.declare(ctx) })
	}
	if len(proofs) == 0 {
		return
	}
	list, promise := challenge.Messages(proofs)
	b.sent(list, promise)
	jitter := time.NewTimer(rand.N(max(part.Span()/JitterPart, 1)))
	defer jitter.Stop()
	select {
	case <-ctx.Done():
		return
	case <-jitter.C:
	}
	raw := make([][]byte, len(list))
	for i, m := range list {
		raw[i] = m.Encode()
	}
	if err := p.conduct.send(ctx, part, raw); err != nil {
		p.Log.Warn("send proofs", "round", b.state.Round.Round, "err", err)
	}
}

// declare tells the ledger that the node has lost fragments, for the next round.
func (p *Participant) declare(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, submitLimit)
	defer cancel()
	v, err := p.Ledger.View(ctx)
	if err != nil {
		return
	}
	ordinal, err := v.NextRound()
	if err != nil {
		return
	}
	receipt, err := p.Ledger.Submit(ctx, ledger.Unsigned(ledger.NewDeclare(p.Chain, p.Key, ordinal)))
	if err == nil {
		err = receipt.Err()
	}
	if err != nil && !errors.Is(err, ledger.ErrDeclared) {
		p.Log.Warn("declare a loss", "round", ordinal, "err", err)
	}
}
