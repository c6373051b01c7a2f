package light

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
)

// View reads the ledger as of now. It is for one task: it keeps the values that it has
// read, and the end of ctx ends it.
func (r *Remote) View(ctx context.Context) (ledger.View, error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, err
	}
	return ledger.View{R: &reader{ctx: ctx, r: r, read: map[string]value{}}}, nil
}

// reader is a state.Lister over proven answers. The interface has no room for a
// context; a reader lives no longer than the one it was made with.
type reader struct {
	ctx   context.Context
	r     *Remote
	read  map[string]value // by key; values of walks are not kept
	bytes int              // of these, about
}

type value struct {
	bytes []byte
	ok    bool
}

var _ state.Lister = (*reader)(nil)

// Bounds on a reader's questions, and on the values that it keeps.
const (
	askedKeys  = 256      // keys of one question
	askedBytes = 12 << 10 // of these: a question is a small frame
	readBytes  = 32 << 20 // of values that are kept
)

// Get reads a key, proven present or absent.
func (v *reader) Get(key []byte) ([]byte, bool, error) {
	if got, ok := v.read[string(key)]; ok {
		return got.bytes, got.ok, nil
	}
	if err := v.Prefetch([][]byte{key}); err != nil {
		return nil, false, err
	}
	got := v.read[string(key)]
	return got.bytes, got.ok, nil
}

// Prefetch reads many keys with few questions. An answer holds as many proofs as fit.
func (v *reader) Prefetch(keys [][]byte) error {
	for len(keys) > 0 {
		part, got := question(keys), 0
		err := v.r.ask(v.ctx, p2p.AskGet, canon.Encode(getQuestion{Keys: part}), func(ctx context.Context, from peer.ID, b []byte) (err error) {
			got, err = v.accept(ctx, from, part, b)
			return err
		})
		if err != nil {
			return err
		}
		keys = keys[got:]
	}
	return nil
}

// question is the first keys that one question may have.
func question(keys [][]byte) [][]byte {
	size := 0
	for i, k := range keys {
		if size += len(k); i == askedKeys || i > 0 && size > askedBytes {
			return keys[:i]
		}
	}
	return keys
}

// accept keeps the values that an answer proves, all of them or none, and returns their
// number.
func (v *reader) accept(ctx context.Context, from peer.ID, keys [][]byte, answer []byte) (int, error) {
	proven, err := v.r.proven(ctx, from, keys, answer)
	if err != nil {
		return 0, err
	}
	size := 0
	for i, got := range proven {
		size += len(keys[i]) + len(got.bytes)
	}
	if v.bytes += size; v.bytes > readBytes {
		clear(v.read) // it is asked for again
		v.bytes = size
	}
	for i, got := range proven {
		v.read[string(keys[i])] = got
	}
	return len(proven), nil
}

// proven is the values of the first of keys, as one node's answer proves them.
func (r *Remote) proven(ctx context.Context, from peer.ID, keys [][]byte, answer []byte) ([]value, error) {
	var a getAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return nil, err
	}
	if len(a.Proofs) == 0 || len(a.Proofs) > len(keys) {
		return nil, fmt.Errorf("%d proofs for %d keys: %w", len(a.Proofs), len(keys), blob.ErrMismatch)
	}
	header, err := r.header(ctx, from, int64(a.Height))
	if err != nil {
		return nil, err
	}
	out := make([]value, len(a.Proofs))
	for i := range a.Proofs {
		p, err := r.decodeProof(ctx, from, a.Height, keys[i], a.Proofs[i])
		if err != nil {
			return nil, err
		}
		if out[i].bytes, out[i].ok, err = p.Verify(blob.Hash(header.AppHash), r.salt, r.genesis.Params.Buckets, keys[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
	}
	return out, nil
}
