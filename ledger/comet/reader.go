package comet

import (
	"bytes"
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
)

// View reads the ledger as of now. It is for one task: it remembers what it has
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
	ctx  context.Context
	r    *Remote
	read map[string]value
}

type value struct {
	bytes []byte
	ok    bool
}

var _ state.Lister = (*reader)(nil)

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
	const perQuestion = 256
	for len(keys) > 0 {
		part, got := keys[:min(len(keys), perQuestion)], 0
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

// accept takes what is proven, all of an answer or nothing, and says how many keys
// it was.
func (v *reader) accept(ctx context.Context, from peer.ID, keys [][]byte, answer []byte) (int, error) {
	var a getAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return 0, err
	}
	if len(a.Proofs) == 0 || len(a.Proofs) > len(keys) {
		return 0, fmt.Errorf("%d proofs for %d keys: %w", len(a.Proofs), len(keys), blob.ErrMismatch)
	}
	header, err := v.r.header(ctx, from, int64(a.Height))
	if err != nil {
		return 0, err
	}
	proven := make([]value, len(a.Proofs))
	for i := range a.Proofs {
		p, err := state.DecodeProof(a.Proofs[i])
		if err != nil {
			return 0, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		if proven[i].bytes, proven[i].ok, err = v.r.genesis.Verify(p, blob.Hash(header.AppHash), keys[i]); err != nil {
			return 0, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
	}
	for i, got := range proven {
		v.read[string(keys[i])] = got
	}
	return len(proven), nil
}

// Each lists keys on the word of the node, and proves every value it hands on. That
// none is left out is not proven.
func (v *reader) Each(prefix []byte, fn func(key, value []byte) error) error {
	q := listQuestion{Prefix: prefix}
	for {
		var a listAnswer
		err := v.r.ask(v.ctx, p2p.AskList, canon.Encode(q), func(_ context.Context, _ peer.ID, b []byte) error {
			a = listAnswer{}
			if err := decodeAnswer(b, &a); err != nil {
				return err
			}
			return a.check(q)
		})
		if err != nil {
			return err
		}
		if err := v.Prefetch(a.Keys); err != nil {
			return err
		}
		for _, k := range a.Keys {
			if got := v.read[string(k)]; got.ok {
				if err := fn(k, got.bytes); err != nil {
					return err
				}
			}
		}
		if !a.More {
			return nil
		}
		q.After = a.Keys[len(a.Keys)-1]
	}
}

// check refuses a list that would not end, or that holds what was not asked for.
func (a listAnswer) check(q listQuestion) error {
	if len(a.Keys) > maxListed || a.More && len(a.Keys) == 0 {
		return fmt.Errorf("list of %d keys: %w", len(a.Keys), blob.ErrMismatch)
	}
	last := q.After
	for _, k := range a.Keys {
		if !bytes.HasPrefix(k, q.Prefix) || bytes.Compare(k, last) <= 0 {
			return fmt.Errorf("list with key %x after %x: %w", k, last, blob.ErrMismatch)
		}
		last = k
	}
	return nil
}
