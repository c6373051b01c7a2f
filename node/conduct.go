package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/token"
)

// Conduct is how a node acts where the rules cannot make it: what it keeps, what it
// proves and to whom it shows that, what it says that it heard, what it proposes. The
// zero Conduct is an honest node's, and `walrus node run` knows no other. A testnet runs
// nodes with another one, to see what the rules do to them.
//
// Several of its functions run at the same time.
type Conduct struct {
	// Keeps says whether the node keeps what is its at a place of a blob: what it does
	// not, it lets go once the blob is certified, and never rebuilds. Nil: it keeps all.
	Keeps func(blob.ID, blob.Place) bool
	// Prove makes the proofs of a round, and names the shards that the node then declares
	// lost. What it makes is sent as it is, and shown in a dispute of a shard of the
	// node's. Nil: Part.Prove.
	Prove func(context.Context, Part) (proofs []challenge.Proof, lost []blob.Shard)
	// Send spreads the messages of the node's proofs. Nil: Part.Publish.
	Send func(ctx context.Context, p Part, messages [][]byte) error
	// Shows says whether the node gives the proofs of its own shards to a peer that asks
	// for them. Nil: to all.
	Shows func(peer.ID) bool
	// Attest changes what the node says that it heard. Nil: it says what is true.
	Attest func(Attestation) Attestation
	// Choose is what the node does with its turn to propose. Nil: it puts all that it has
	// seen into its block. See comet.Options.
	Choose func(comet.Proposing) comet.Choice
}

// Attestation is what a node says of a round in its votes.
type Attestation struct {
	Listened bool      // since the draw
	Own      blob.Hash // root over the proofs that it sent
	Yes      []byte    // shard s is bit s mod 8 of byte s/8: its proof was heard
	Shards   int       // of the network
}

// Behave gives the node another conduct than an honest one. It is called before Run.
func (n *Node) Behave(c Conduct) { n.conduct = c }

// keeps splits the places of a blob into those that the node keeps and the rest.
func (c Conduct) keeps(id blob.ID, places []blob.Place) (kept, rest []blob.Place) {
	if c.Keeps == nil {
		return places, nil
	}
	for _, p := range places {
		if c.Keeps(id, p) {
			kept = append(kept, p)
		} else {
			rest = append(rest, p)
		}
	}
	return kept, rest
}

func (c Conduct) prove(ctx context.Context, p Part) ([]challenge.Proof, []blob.Shard) {
	if c.Prove == nil {
		return p.Prove()
	}
	return c.Prove(ctx, p)
}

// proveShard proves one shard again, for a dispute: it is errNoBody where the conduct
// has no proof of it.
func (c Conduct) proveShard(ctx context.Context, p Part, s blob.Shard) (challenge.Proof, error) {
	if c.Prove == nil {
		return p.ProveShard(s)
	}
	proofs, _ := c.Prove(ctx, p)
	for _, proof := range proofs {
		if proof.Shard == s {
			return proof, nil
		}
	}
	return challenge.Proof{}, errNoBody
}

func (c Conduct) send(ctx context.Context, p Part, messages [][]byte) error {
	if c.Send == nil {
		return p.Publish(ctx, messages)
	}
	return c.Send(ctx, p, messages)
}

func (c Conduct) shows(to peer.ID) bool { return c.Shows == nil || c.Shows(to) }

func (c Conduct) attest(a Attestation) Attestation {
	if c.Attest == nil {
		return a
	}
	return c.Attest(a)
}

// Part is a node's part in one round of challenges, once that is drawn.
type Part struct {
	r *rounds
	h *hearing
}

// Round is the round.
func (p Part) Round() challenge.Round { return p.h.state.Round }

// Key is the node's own.
func (p Part) Key() token.Key { return p.r.n.key }

// Chain is the chain's name.
func (p Part) Chain() token.ChainID { return p.r.n.chain }

// Shards are those that the node is asked to prove.
func (p Part) Shards() []blob.Shard {
	return p.h.proving(func(s blob.Shard) bool { return p.h.committee.Holder[s] == p.r.n.id })
}

// Others are the shards that others are asked to prove.
func (p Part) Others() []blob.Shard {
	return p.h.proving(func(s blob.Shard) bool { return p.h.committee.Holder[s] != p.r.n.id })
}

// Questions is what a shard is asked.
func (p Part) Questions(s blob.Shard) []challenge.Question { return p.h.ask(s) }

// Commitment is that of a blob that was drawn.
func (p Part) Commitment(id blob.ID) blob.Commitment { return p.h.state.Commitment(id) }

// Heard is the message of a shard's proof, if the node has it.
func (p Part) Heard(s blob.Shard) (challenge.Message, bool) {
	raw, ok := p.h.body(s)
	if !ok {
		return challenge.Message{}, false
	}
	m, err := challenge.DecodeMessage(raw)
	return m, err == nil
}

// Prove proves the node's shards from what it holds, checks each proof as others will,
// and names those that it has none for.
func (p Part) Prove() (proofs []challenge.Proof, lost []blob.Shard) {
	for _, s := range p.Shards() {
		proof, err := p.ProveShard(s)
		if err != nil {
			p.r.n.log.Warn("prove", "shard", s, "err", err)
			lost = append(lost, s)
			continue
		}
		proofs = append(proofs, proof)
	}
	return proofs, lost
}

// ProveShard proves one of the node's shards, and checks the proof.
func (p Part) ProveShard(s blob.Shard) (challenge.Proof, error) {
	n, h := p.r.n, p.h
	layout := func(id blob.ID) blob.Layout { return h.state.Commitment(id).Layout }
	questions := h.ask(s)
	proof, err := challenge.Prove(n.chain, n.key, h.state.Round, h.state.Beacon, s, questions, n.store, redstuff.For(mustShape(h.params)), layout)
	if err == nil {
		err = challenge.Verify(n.chain, n.id.PublicKey(), h.state.Round, h.state.Beacon, questions, h.state.Commitment, proof)
	}
	return proof, err
}

// Publish gossips messages.
func (p Part) Publish(ctx context.Context, messages [][]byte) error {
	return p.r.gossip.Publish(ctx, p.r.topic, messages)
}

// Fetch rebuilds what the node lacks of the stripes that it is asked for, from its
// neighbours, as repair does.
func (p Part) Fetch(ctx context.Context) error {
	n := p.r.n
	v, release, err := n.ledger.Hold(ctx)
	if err != nil {
		return err
	}
	d, err := client.DirectoryOf(v)
	release()
	if err != nil {
		return err
	}
	for _, s := range p.Shards() {
		for _, q := range p.Questions(s) {
			if held, err := n.store.Has(q.Position()); err != nil || held {
				continue
			}
			c := p.Commitment(q.Blob)
			if err := n.store.Keep(ctx, blob.NewManifest(c.Layout, c.Root)); err != nil {
				return err
			}
			if err := n.repairRun(ctx, d, &work{c: c}, []blob.Position{q.Position()}, q.Stripe, q.Stripe+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// LetGo drops what the node holds of the blobs that it is asked for.
func (p Part) LetGo(ctx context.Context) error {
	for _, s := range p.Shards() {
		for _, q := range p.Questions(s) {
			if err := p.r.n.letGo(ctx, q.Blob, []blob.Place{q.Place}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Span is the time until the deadline of the round, in blocks of nominal length.
func (p Part) Span() time.Duration {
	return time.Duration(p.h.params.Challenge.Deadline*p.h.params.BlockMs) * time.Millisecond
}
