package rounds

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
)

// Conduct is how a node acts in a round where the rules cannot force it. The zero Conduct
// is an honest node's. A testnet runs nodes with another one, to see how the rules
// answer. Several of its functions may run at the same time.
type Conduct struct {
	// Prove makes the proofs of a round, and names the shards that the node then declares
	// lost. The proofs are sent as they are, and shown in disputes of the node's shards.
	// Nil: Part.Prove.
	Prove func(context.Context, Part) (proofs []challenge.Proof, lost []blob.Shard)
	// Send spreads the messages of the node's proofs. Nil: Part.Publish.
	Send func(ctx context.Context, p Part, messages [][]byte) error
	// Shows says whether the node gives the proofs of its own shards to a peer that asks
	// for them. Nil: to all peers.
	Shows func(peer.ID) bool
	// Attest changes the node's attestation. Nil: it stays true.
	Attest func(Attestation) Attestation
}

// Attestation is a node's statement about the proofs of a round.
type Attestation struct {
	Listened bool          // since the draw
	Own      blob.Hash     // root over the proofs that the node sent
	Yes      blob.ShardSet // shards whose proofs the node has received
	Shards   int           // of the network
}

func (c Conduct) prove(ctx context.Context, p Part) ([]challenge.Proof, []blob.Shard) {
	if c.Prove == nil {
		return p.Prove()
	}
	return c.Prove(ctx, p)
}

// proveShard proves one shard again, for a dispute. Errors: errNoProof where the conduct
// makes no proof of the shard.
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
	return challenge.Proof{}, errNoProof
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
