package light

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// A value that might not fit into one message travels in parts. The asker has the hash of
// the value already, and joins the parts.

// join asks one node for all parts of a value of at most most bytes. Parts that do not fit
// together are the node's fault; silence is not.
func join(ctx context.Context, most uint64, ask func(context.Context, uint64) ([]byte, error)) ([]byte, error) {
	var value []byte
	for size := uint64(1); uint64(len(value)) < size; {
		answer, err := ask(ctx, uint64(len(value)))
		if err != nil {
			return nil, err
		}
		var a partAnswer
		if err := decodeAnswer(answer, &a); err != nil {
			return nil, err
		}
		if a.Size < 1 || a.Size > most || len(value) > 0 && a.Size != size ||
			uint64(len(a.Part)) != min(partBytes, a.Size-uint64(len(value))) {
			return nil, fmt.Errorf("part of %d bytes of %d after %d: %w", len(a.Part), a.Size, len(value), blob.ErrMismatch)
		}
		size, value = a.Size, append(value, a.Part...)
	}
	return value, nil
}

// decodeProof reads a proof of a key in one node's answer, and gets its value from the
// same node if that was left out.
func (r *Remote) decodeProof(ctx context.Context, from peer.ID, height unit.Height, key, raw []byte) (state.Proof, error) {
	p, err := state.DecodeProof(raw)
	if err != nil {
		return p, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
	}
	if want, lacks := p.Lacks(r.salt, key); lacks {
		p.Value, err = r.joinValue(ctx, from, height, key, want)
	}
	return p, err
}

// joinValue is the value of a key, whose hash is known, from one node.
func (r *Remote) joinValue(ctx context.Context, from peer.ID, height unit.Height, key []byte, want blob.Hash) ([]byte, error) {
	value, err := join(ctx, state.MaxProof, func(ctx context.Context, at uint64) ([]byte, error) {
		return r.askThis(ctx, from, p2p.AskPart, canon.Encode(partQuestion{Height: height, Key: key, From: at}))
	})
	if err == nil && blob.Leaf(value) != want {
		err = fmt.Errorf("value of %d bytes: %w", len(value), blob.ErrMismatch)
	}
	return value, err
}

// askThis puts a further question to the node whose answer is being checked. Silence or a
// refusal is no lie, and does not refuse the first question.
func (r *Remote) askThis(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	answer, err := r.askLedger(ctx, p, ask, body)
	if err != nil {
		return nil, noAnswer{fmt.Errorf("node %s: %v", p, err)} // as text: it refuses this only
	}
	return answer, nil
}
