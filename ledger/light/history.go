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

// Nodes prune their blocks, and keep some headers for ever: one an epoch, and those where
// the committee changes. Each leads to the next.

// historyQuestion asks for the headers that are kept for ever, from a height on.
type historyQuestion struct {
	_    struct{} `cbor:",toarray"`
	From unit.Height
}

// historyAnswer has light blocks (protobuf), as many as fit.
type historyAnswer struct {
	_      struct{} `cbor:",toarray"`
	Blocks [][]byte
	More   bool
}

// HistoryBytes bounds the light blocks of one answer.
const HistoryBytes = partBytes

// Archive has the headers that are kept for ever.
type Archive interface {
	History(from, most int64) (blocks [][]byte, more bool, err error)
}

// AnswerHistory answers AskHistory.
func AnswerHistory(a Archive, body []byte) ([]byte, error) {
	var q historyQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if q.From > 1<<62 {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "no chain has a block %d", q.From)
	}
	blocks, more, err := a.History(int64(q.From), HistoryBytes)
	if err != nil {
		return nil, err
	}
	return canon.Encode(historyAnswer{Blocks: blocks, More: more}), nil
}

// maxHistory bounds the headers of a history: a change of the committee each hour for 20
// years.
const maxHistory = 1 << 19

// History hands on the headers that nodes keep for ever, from the first up to one that was
// verified: each leads to the next, the first back to the genesis, and the last to that
// one. How old they are does not count, since the end is known.
func (r *Remote) History(ctx context.Context, last *types.LightBlock, take func(*types.LightBlock) error) error {
	f := &follower{genesis: r.genesis, period: anyAge, now: r.follow.now}
	nowhere := func(context.Context, int64) (*types.LightBlock, error) {
		return nil, fmt.Errorf("a header is left out: %w", ErrUntrusted)
	}
	var newest *types.LightBlock
	for count := 0; count < maxHistory; {
		from := int64(1)
		if newest != nil {
			from = newest.Height + 1
		}
		var blocks []*types.LightBlock
		more := false
		body := canon.Encode(historyQuestion{From: unit.Height(from)})
		err := r.ask(ctx, p2p.AskHistory, body, func(ctx context.Context, p peer.ID, raw []byte) (func(), error) {
			got, m, err := r.decodeHistory(raw, from)
			before := newest
			for _, b := range got {
				if err != nil || b.Height >= last.Height {
					break
				}
				if before == nil {
					err = f.first(b)
				} else {
					_, err = f.advance(ctx, before, b, nowhere)
				}
				before = b
			}
			end := len(got) == 0 || !m || got[len(got)-1].Height >= last.Height
			if err == nil && before == nil {
				err = fmt.Errorf("node %s keeps no headers: %w", p, blob.ErrMismatch)
			}
			if err == nil && end && before.Height < last.Height {
				_, err = f.advance(ctx, before, last, nowhere)
			}
			return func() { blocks, more = got, !end }, err
		})
		if err != nil {
			return err
		}
		for _, b := range blocks {
			if b.Height >= last.Height {
				break
			}
			if err := take(b); err != nil {
				return err
			}
			newest = b
			count++
		}
		if !more {
			return nil
		}
	}
	return errors.New("the chain's committee changed more often than a node follows")
}

// decodeHistory reads an answer from a stranger: headers at or above from, ascending.
func (r *Remote) decodeHistory(raw []byte, from int64) (out []*types.LightBlock, more bool, err error) {
	var a historyAnswer
	if err := decodeAnswer(raw, &a); err != nil {
		return nil, false, err
	}
	if a.More && len(a.Blocks) == 0 {
		return nil, false, fmt.Errorf("no headers, and more: %w", blob.ErrMismatch)
	}
	for _, raw := range a.Blocks {
		b, err := decodeBlock(raw, string(r.genesis.ChainID()))
		if err != nil {
			return nil, false, err
		}
		if b.Height < from {
			return nil, false, fmt.Errorf("header %d below %d: %w", b.Height, from, blob.ErrMismatch)
		}
		from = b.Height + 1
		out = append(out, b)
	}
	return out, a.More, nil
}

// between is a header that a node has strictly between two heights, near their middle. Where
// the node has pruned a height it gives the next one that it keeps.
func between(ctx context.Context, low, high int64, from source) (*types.LightBlock, error) {
	for end := high; end-low > 1; {
		middle := low + (end-low)/2
		b, err := from(ctx, middle)
		if err != nil {
			return nil, err
		}
		switch {
		case b.Height < middle:
			return nil, fmt.Errorf("header %d, asked for %d: %w", b.Height, middle, blob.ErrMismatch)
		case b.Height < high:
			return b, nil
		}
		end = middle
	}
	return nil, noAnswer{fmt.Errorf("the node has no header between %d and %d any more", low, high)}
}

// exactly refuses a header that a node gives for one that it has pruned. That is no lie.
func exactly(b *types.LightBlock, height int64) error {
	if height != 0 && b.Height != height {
		return noAnswer{p2p.Refuse(p2p.CodeNotHeld, "block %d was pruned, the next header kept is %d", height, b.Height)}
	}
	return nil
}
