package comet

import (
	"context"
	"errors"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
)

// Oracle answers the ledger protocol from a chain.
type Oracle struct{ c *Chain }

// Oracle is what answers others' questions about this chain.
func (c *Chain) Oracle() Oracle { return Oracle{c} }

// Answer answers one question.
func (o Oracle) Answer(ctx context.Context, from peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	switch ask {
	case p2p.AskGenesis:
		return o.wholeGenesis(body)
	case p2p.AskGet:
		return o.get(body)
	case p2p.AskLight:
		return o.light(body)
	case p2p.AskSubmit:
		if o.c.wrongs.shut(from) {
			return nil, p2p.Refuse(p2p.CodeBusy, "%d of your transactions had wrong signatures or proofs: wait for %s", wrongsAllowed, wrongsTime)
		}
		r, err := o.c.Submit(ctx, body)
		o.c.wrongs.note(from, r.Code)
		switch {
		case errors.Is(err, errHalted):
			err = p2p.Refuse(p2p.CodeWait, "%v", errHalted)
		case errors.Is(err, errFull):
			err = p2p.Refuse(p2p.CodeBusy, "%v", err)
		}
		return ledger.EncodeReceipt(r), err
	case p2p.AskList:
		return o.list(body)
	case p2p.AskPart:
		return o.part(body)
	case p2p.AskStatus:
		return o.standing()
	}
	return nil, p2p.Refuse(p2p.CodeBadRequest, "unknown question %d", ask)
}

func noBlock() error {
	return p2p.Refuse(p2p.CodeBusy, "the chain has no block yet: try again in a moment")
}

// Room that canonical CBOR takes around a proof, and around all of an answer.
const (
	proofFrame  = 8
	answerFrame = 64
)

// get proves at the height before the newest header: that one names the root, and
// it does so also when no further block comes.
func (o Oracle) get(body []byte) ([]byte, error) {
	var q getQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if len(q.Keys) == 0 || len(q.Keys) > maxKeys {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "%d keys, 1 to %d", len(q.Keys), maxKeys)
	}
	height := o.c.machine.Height()
	if height == 0 {
		return nil, noBlock()
	}
	a := getAnswer{Height: height}
	size := 0
	for _, k := range q.Keys {
		p, err := o.c.machine.Prove(k, height-1)
		if err != nil {
			return nil, err
		}
		if len(p.Value) > longValue {
			p.Value = nil
		}
		raw := p.Encode()
		if size += len(raw) + proofFrame; size > p2p.MaxAnswer-answerFrame && len(a.Proofs) > 0 {
			break // the asker asks for the rest again
		}
		a.Proofs = append(a.Proofs, raw)
	}
	return canon.Encode(a), nil
}

func (o Oracle) light(body []byte) ([]byte, error) {
	var q lightQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	b, err := o.c.lightBlock(int64(q.Height))
	if err != nil {
		return nil, err
	}
	p, err := b.ToProto()
	if err != nil {
		return nil, err
	}
	return p.Marshal()
}

// lightBlock is a header, the signatures under it, and the committee that signed.
func (c *Chain) lightBlock(height int64) (*types.LightBlock, error) {
	blocks := c.node.BlockStore()
	if height == 0 {
		height = int64(c.machine.Height())
	}
	meta := blocks.LoadBlockMeta(height)
	if meta == nil {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "no block %d here, the newest is %d", height, blocks.Height())
	}
	commit := blocks.LoadBlockCommit(height)
	if commit == nil {
		commit = blocks.LoadSeenCommit(height)
	}
	validators, err := c.states.LoadValidators(height)
	if err != nil || commit == nil {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "block %d is not complete here yet", height)
	}
	return &types.LightBlock{SignedHeader: &types.SignedHeader{Header: &meta.Header, Commit: commit}, ValidatorSet: validators}, nil
}

var errListed = errors.New("enough")

// list is a page of the keys that a getQuestion asked now can prove. What it costs
// follows from the page, not from how many keys begin with the prefix.
func (o Oracle) list(body []byte) ([]byte, error) {
	var q listQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	height := o.c.machine.Height()
	if height == 0 {
		return nil, noBlock()
	}
	v, err := o.c.machine.ViewAt(height - 1)
	if err != nil {
		return nil, err
	}
	l, ok := v.R.(state.Lister)
	if !ok {
		return nil, ledger.ErrNoList
	}
	var a listAnswer
	size, read := 0, 0
	err = l.EachAfter(q.Prefix, q.After, func(k, value []byte) error {
		if len(a.Keys) == maxListed || size >= maxListSize || read >= maxListRead {
			a.More = true
			return errListed
		}
		a.Keys = append(a.Keys, k)
		size += len(k)
		read += len(value)
		return nil
	})
	if err != nil && !errors.Is(err, errListed) {
		return nil, fmt.Errorf("list: %w", err)
	}
	return canon.Encode(a), nil
}

func (o Oracle) standing() ([]byte, error) {
	v, err := o.c.machine.View()
	if err != nil {
		return nil, err
	}
	h, err := v.Head()
	if err != nil {
		return nil, err
	}
	return canon.Encode(Standing{Height: h.Height, TimeMs: h.TimeMs, AtTip: o.c.AtTip()}), nil
}

// decodeLightBlock reads a light block from a stranger and checks its form.
func decodeLightBlock(b []byte, chain string) (*types.LightBlock, error) {
	var p cmtproto.LightBlock
	if err := p.Unmarshal(b); err != nil {
		return nil, fmt.Errorf("light block: %w", err)
	}
	l, err := types.LightBlockFromProto(&p)
	if err != nil {
		return nil, fmt.Errorf("light block: %w", err)
	}
	if err := l.ValidateBasic(chain); err != nil {
		return nil, fmt.Errorf("light block: %w", err)
	}
	return l, nil
}
