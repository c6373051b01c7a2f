package comet

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
)

// A value that might not fit into one message travels in parts: the asker has its hash
// already, and joins them.

// part answers with a part of a value, at a height that is still kept.
func (o Oracle) part(body []byte) ([]byte, error) {
	var q partQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if q.Height == 0 {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "no header names the state before the genesis")
	}
	v, err := o.c.machine.ViewAt(q.Height - 1)
	var value []byte
	if err == nil {
		value, _, err = v.R.Get(q.Key)
	}
	if errors.Is(err, state.ErrHeight) {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	return cut(value, q.From), nil
}

// wholeGenesis is the genesis as it is, or a part of it for who asks so.
func (o Oracle) wholeGenesis(body []byte) ([]byte, error) {
	whole := o.c.options.Genesis.Encode()
	if len(body) == 0 {
		return whole, nil
	}
	var q partQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	return cut(whole, q.From), nil
}

func cut(value []byte, from uint64) []byte {
	size := uint64(len(value))
	from = min(from, size)
	return canon.Encode(partAnswer{Size: size, Part: value[from:min(size, from+partBytes)]})
}

// join asks one node for all parts of a value of at most most bytes. What it answers is
// its fault if they do not fit together, and nobody's if it does not answer.
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
func (r *Remote) decodeProof(ctx context.Context, from peer.ID, height uint64, key, raw []byte) (state.Proof, error) {
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
func (r *Remote) joinValue(ctx context.Context, from peer.ID, height uint64, key []byte, want blob.Hash) ([]byte, error) {
	value, err := join(ctx, state.MaxProof, func(ctx context.Context, at uint64) ([]byte, error) {
		return r.askThis(ctx, from, p2p.AskPart, canon.Encode(partQuestion{Height: height, Key: key, From: at}))
	})
	if err == nil && blob.Leaf(value) != want {
		err = fmt.Errorf("value of %d bytes: %w", len(value), blob.ErrMismatch)
	}
	return value, err
}

// askThis puts a question to one node on the way to an answer of its. That it does not
// answer, or refuses, is no lie, and no refusal of what was asked for at first.
func (r *Remote) askThis(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	answer, err := r.host.AskLedger(ctx, p, ask, body)
	if err != nil {
		return nil, unanswered{fmt.Errorf("node %s: %v", p, err)} // as text: it refuses this only
	}
	return answer, nil
}

// FetchGenesis asks a node for the genesis of its network. Whoever gets it shows
// its hash to a person before anything is built on it.
func FetchGenesis(ctx context.Context, host *p2p.Host, from peer.ID) (ledger.Genesis, error) {
	b, err := join(ctx, ledger.MaxGenesis, func(ctx context.Context, at uint64) ([]byte, error) {
		return host.AskLedger(ctx, from, p2p.AskGenesis, canon.Encode(partQuestion{From: at}))
	})
	if err != nil {
		return ledger.Genesis{}, err
	}
	return ledger.DecodeGenesis(b)
}
