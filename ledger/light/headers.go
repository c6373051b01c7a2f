package light

import (
	"context"
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// Nodes is the nodes that a question would be put to, in order.
func (r *Remote) Nodes() []peer.ID { return r.candidates() }

// Headers is the verified headers of count heights from first on. They may be old: a caller
// that wants the newest asks for it with Newest.
func (r *Remote) Headers(ctx context.Context, first int64, count int) (out []*types.LightBlock, err error) {
	q := canon.Encode(headerQuestion{Height: unit.Height(first)})
	err = r.ask(ctx, p2p.AskLight, q, func(ctx context.Context, from peer.ID, answer []byte) (func(), error) {
		given, err := decodeBlock(answer, string(r.genesis.ChainID()))
		if err != nil {
			return nil, err
		}
		got, err := r.headers(ctx, first, count, r.sourceWith(from, map[int64]*types.LightBlock{given.Height: given}))
		if err != nil {
			return nil, err
		}
		return func() { out = got }, nil
	})
	return out, err
}

// HeadersOf is Headers that one node gives: of what it alone claims no other is asked.
func (r *Remote) HeadersOf(ctx context.Context, p peer.ID, first int64, count int) ([]*types.LightBlock, error) {
	out, err := r.headers(ctx, first, count, r.source(p))
	var none noAnswer
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, ErrExpired):
		err = r.expired(ctx, err)
	case !ours(err) && !errors.As(err, &none):
		r.host.Blame(p, err)
	}
	return out, err
}

func (r *Remote) headers(ctx context.Context, first int64, count int, from source) (out []*types.LightBlock, err error) {
	for h := first; h < first+int64(count); h++ {
		b, err := r.follow.header(ctx, h, from)
		if err != nil {
			return nil, err
		}
		if b.Height != h {
			return nil, fmt.Errorf("header %d, asked for %d: %w", b.Height, h, blob.ErrMismatch)
		}
		out = append(out, b)
	}
	return out, nil
}

// Newest is the newest header that nodes prove.
func (r *Remote) Newest(ctx context.Context) (out *types.LightBlock, err error) {
	err = r.ask(ctx, p2p.AskLight, canon.Encode(headerQuestion{}), func(ctx context.Context, from peer.ID, answer []byte) (func(), error) {
		given, err := decodeBlock(answer, string(r.genesis.ChainID()))
		if err != nil {
			return nil, err
		}
		b, err := r.headerFrom(ctx, from, given.Height, r.sourceWith(from, map[int64]*types.LightBlock{given.Height: given}))
		return func() { out = b }, err
	})
	return out, err
}
