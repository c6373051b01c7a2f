package light

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// proveQuestion asks for the values of keys in one state, with all that proves them: over a
// long line each further question costs as much as this one.
type proveQuestion struct {
	_         struct{} `cbor:",toarray"`
	Keys      [][]byte
	Height    unit.Height // of the header that names the state's root; 0: the newest
	Trusted   unit.Height // of the newest header that the asker trusts; 0: none
	Begin     unit.Height // of the header that the asker begins with, where it trusts none; 0: it needs none
	Committee bool        // the committee of the state's epoch and its nodes are wanted too
}

// proveAnswer has a proof for each key, in order, up to the first that does not fit any
// more, as getAnswer has them.
type proveAnswer struct {
	_       struct{} `cbor:",toarray"`
	Height  unit.Height
	Headers [][]byte // light blocks that the asker lacks: Begin's, then Height's; none where they do not fit
	Proofs  [][]byte
	More    []keyProof // of Committee, as many as fit
}

// keyProof is the proof of a key that was not asked for by name.
type keyProof struct {
	_     struct{} `cbor:",toarray"`
	Key   []byte
	Proof []byte
}

// Limits of how long a question about a block that is still to come waits for it.
const (
	awaitedBlocks = 2 // blocks that it may be ahead
	awaitPause    = 10 * time.Millisecond
)

// Await waits until a node has the block that a proof is asked at, where this is one of the
// next: an asker that knows which block will show it something asks once.
func (r Responder) Await(ctx context.Context, ask p2p.Ask, body []byte) {
	var q proveQuestion
	if ask != p2p.AskProve || decodeQuestion(body, &q) != nil || q.Height > r.Machine.Height()+awaitedBlocks {
		return
	}
	block := time.Duration(r.Genesis.Params.BlockMs) * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, awaitedBlocks*block+awaitedSlack)
	defer cancel()
	look := time.NewTicker(awaitPause)
	defer look.Stop()
	for q.Height > r.Machine.Height() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// awaitedSlack is how much longer than planned the awaited blocks may take: some round trips
// between nodes far from each other.
const awaitedSlack = 2 * time.Second

// prove proves keys in the state that one header names, and adds the headers that lead to it.
func (r Responder) prove(body []byte) ([]byte, error) {
	var q proveQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if len(q.Keys) == 0 || len(q.Keys) > maxKeys {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "%d keys, 1 to %d", len(q.Keys), maxKeys)
	}
	newest := r.Machine.Height()
	switch {
	case newest == 0:
		return nil, noBlock()
	case q.Height > newest:
		return nil, p2p.Refuse(p2p.CodeNotHeld, "no block %d here, the newest is %d", q.Height, newest)
	case q.Height == 0:
		q.Height = newest
	}
	a := proveAnswer{Height: q.Height}
	size := r.headers(q, &a)
	var err error
	if a.Proofs, err = r.proofs(q.Keys, q.Height, &size); err != nil {
		return nil, err
	}
	if q.Committee && len(a.Proofs) == len(q.Keys) {
		if a.More, err = r.committee(q.Height, size); err != nil {
			return nil, err
		}
	}
	return canon.Encode(a), nil
}

// headers puts the headers that the asker lacks into an answer and returns their bytes. Some
// that the node does not have, or that are too long, are left for the asker to ask for.
func (r Responder) headers(q proveQuestion, a *proveAnswer) (size int) {
	var heights []unit.Height
	if q.Trusted == 0 && q.Begin != 0 && q.Begin != q.Height {
		heights = append(heights, q.Begin)
	}
	if q.Trusted != q.Height {
		heights = append(heights, q.Height)
	}
	for _, h := range heights {
		raw, err := r.rawBlock(h)
		if size += len(raw) + proofFrame; err != nil || size > p2p.MaxAnswer/2 {
			a.Headers = nil
			return 0
		}
		a.Headers = append(a.Headers, raw)
	}
	return size
}

// proofs is the proofs of the first of keys, as many as fit beside size bytes: one at
// least. A long value is left out of its proof.
func (r Responder) proofs(keys [][]byte, height unit.Height, size *int) (out [][]byte, err error) {
	for _, k := range keys {
		p, err := r.Machine.Prove(k, height-1)
		if errors.Is(err, state.ErrHeight) {
			return nil, p2p.Refuse(p2p.CodeNotHeld, "%v", err)
		}
		if err != nil {
			return nil, err
		}
		if len(p.Value) > longValue {
			p.Value = nil
		}
		raw := p.Encode()
		if *size += len(raw) + proofFrame; *size > p2p.MaxAnswer-answerFrame && len(out) > 0 {
			break // the asker asks for the rest again
		}
		out = append(out, raw)
	}
	return out, nil
}

// committee proves the committee of a state's epoch and the records of its nodes, as many
// as fit beside size bytes.
func (r Responder) committee(height unit.Height, size int) (out []keyProof, err error) {
	v, err := r.Machine.ViewAt(height - 1)
	if err != nil {
		return nil, err
	}
	head, err := v.Head()
	if err != nil {
		return nil, err
	}
	c, err := v.Committee(head.Epoch)
	if err != nil {
		return nil, err
	}
	keys := [][]byte{ledger.KeyCommittee(head.Epoch)}
	for _, n := range c.Nodes {
		keys = append(keys, ledger.KeyNode(n.ID))
	}
	for _, k := range keys[:min(len(keys), maxKeys)] {
		p, err := r.Machine.Prove(k, height-1)
		if err != nil {
			return nil, err
		}
		raw := p.Encode()
		if size += len(raw) + len(k) + 2*proofFrame; size > p2p.MaxAnswer-answerFrame {
			break
		}
		out = append(out, keyProof{Key: k, Proof: raw})
	}
	return out, nil
}

// provenAnswer is what one node's answer proves.
type provenAnswer struct {
	header *types.LightBlock
	values []value          // of the first of the question's keys
	more   map[string]value // of keys beside these
}

// question is one about keys, with what this process trusts already.
func (r *Remote) question(keys [][]byte, height unit.Height, committee bool) proveQuestion {
	q := proveQuestion{Keys: keys, Height: height, Committee: committee}
	if r.options.TrustNode {
		return q
	}
	if newest := r.follow.newest(); newest != nil {
		q.Trusted = unit.Height(newest.Height)
	} else {
		q.Begin = unit.Height(r.follow.beginning())
	}
	return q
}

// check verifies one node's answer. at is the header of the question's height where it was
// verified before, nil otherwise.
func (r *Remote) check(ctx context.Context, from peer.ID, q proveQuestion, at *types.LightBlock, answer []byte) (out provenAnswer, err error) {
	var a proveAnswer
	if err := decodeAnswer(answer, &a); err != nil {
		return out, err
	}
	if len(a.Proofs) == 0 || len(a.Proofs) > len(q.Keys) || len(a.Headers) > 2 || len(a.More) > maxKeys || len(a.More) > 0 && !q.Committee {
		return out, fmt.Errorf("%d proofs for %d keys, %d more, %d headers: %w", len(a.Proofs), len(q.Keys), len(a.More), len(a.Headers), blob.ErrMismatch)
	}
	if q.Height != 0 && a.Height != q.Height {
		return out, fmt.Errorf("answer at height %d, asked for %d: %w", a.Height, q.Height, blob.ErrMismatch)
	}
	// On a node's word each answer is held against the header that the same node gives.
	if out.header = at; at == nil || r.options.TrustNode {
		given, err := decodeBlocks(a.Headers, string(r.genesis.ChainID()))
		if err != nil {
			return out, err
		}
		if out.header, err = r.headerFrom(ctx, from, int64(a.Height), r.sourceWith(from, given)); err != nil {
			return out, err
		}
	}
	verify := func(key, raw []byte) (v value, err error) {
		p, err := r.decodeProof(ctx, from, a.Height, key, raw)
		if err != nil {
			return v, err
		}
		if v.bytes, v.ok, err = p.Verify(blob.Hash(out.header.AppHash), r.salt, r.genesis.Params.Buckets, key); err != nil {
			return v, fmt.Errorf("%w: %w", blob.ErrMismatch, err)
		}
		return v, nil
	}
	for i, raw := range a.Proofs {
		v, err := verify(q.Keys[i], raw)
		if err != nil {
			return out, err
		}
		out.values = append(out.values, v)
	}
	out.more = make(map[string]value, len(a.More))
	for _, m := range a.More {
		if out.more[string(m.Key)], err = verify(m.Key, m.Proof); err != nil {
			return out, err
		}
	}
	return out, nil
}

func decodeBlocks(list [][]byte, chain string) (out map[int64]*types.LightBlock, err error) {
	out = map[int64]*types.LightBlock{}
	for _, raw := range list {
		b, err := decodeBlock(raw, chain)
		if err != nil {
			return nil, err
		}
		out[b.Height] = b
	}
	return out, nil
}

// sourceWith is the headers of a node that has given some of them already.
func (r *Remote) sourceWith(from peer.ID, given map[int64]*types.LightBlock) source {
	return func(ctx context.Context, height int64) (*types.LightBlock, error) {
		if b := given[height]; b != nil {
			return b, nil
		}
		return r.lightBlock(ctx, from, height)
	}
}
