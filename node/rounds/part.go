package rounds

import (
	"context"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/token"
)

// Part is a node's part in one round, once the round is drawn. A Conduct acts with it.
type Part struct {
	p *Participant
	b *inbox
}

// Round names the round.
func (p Part) Round() challenge.RoundID { return p.b.state.Round }

// Key is the node's own.
func (p Part) Key() token.Key { return p.p.Key }

// Chain is the chain's name.
func (p Part) Chain() token.ChainID { return p.p.Chain }

// Span is the time from the draw to the deadline, at nominal block times.
func (p Part) Span() time.Duration {
	return time.Duration(p.b.params.Challenge.Deadline*p.b.params.BlockMs) * time.Millisecond
}

// Shards lists the node's shards that the round asks.
func (p Part) Shards() []blob.Shard {
	return p.b.asked(func(s blob.Shard) bool { return p.b.committee.Holder[s] == p.p.id })
}

// Others lists the shards of other nodes that the round asks.
func (p Part) Others() []blob.Shard {
	return p.b.asked(func(s blob.Shard) bool { return p.b.committee.Holder[s] != p.p.id })
}

// Questions lists the questions to a shard.
func (p Part) Questions(s blob.Shard) []challenge.Question { return p.b.ask(s).Questions }

// Commitment is the commitment of a blob that was drawn.
func (p Part) Commitment(id blob.ID) blob.Commitment { return p.b.state.Commitment(id) }

// Received is the message with a shard's proof, if the node has it.
func (p Part) Received(s blob.Shard) (challenge.Message, bool) {
	raw, ok := p.b.message(s)
	if !ok {
		return challenge.Message{}, false
	}
	m, err := challenge.DecodeMessage(raw)
	return m, err == nil
}

// Prove proves the node's shards from its fragments and checks each proof as other nodes
// do. lost names the shards without a proof.
func (p Part) Prove() (proofs []challenge.Proof, lost []blob.Shard) {
	for _, s := range p.Shards() {
		proof, err := p.ProveShard(s)
		if err != nil {
			p.p.Log.Warn("prove", "shard", s, "err", err)
			lost = append(lost, s)
			continue
		}
		proofs = append(proofs, proof)
	}
	return proofs, lost
}

// ProveShard proves one of the node's shards and checks the proof. Errors: those of the
// fragments, or of the check.
func (p Part) ProveShard(s blob.Shard) (challenge.Proof, error) {
	b := p.b
	shape, err := b.params.Shape()
	if err != nil {
		return challenge.Proof{}, err
	}
	ask := b.ask(s)
	proof, err := ask.Prove(p.p.Key, p.p.Fragments, redstuff.For(shape))
	if err == nil {
		err = ask.Verify(p.p.id.PublicKey(), proof)
	}
	return proof, err
}

// Publish gossips messages.
func (p Part) Publish(ctx context.Context, messages [][]byte) error {
	return p.p.gossip.Publish(ctx, p.p.topic, messages)
}
