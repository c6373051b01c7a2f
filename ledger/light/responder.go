package light

import (
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// Chain is what a node's agreement adds to the state machine.
type Chain interface {
	// LightBlock is the header of a height, the signatures under it, and the committee
	// that signed; height 0 is the newest.
	LightBlock(height int64) (*types.LightBlock, error)
	// AtTip says whether the node has all blocks that it knows of.
	AtTip() bool
}

// Responder answers the questions of the ledger protocol from a node's own ledger: all
// but submissions, which need the agreement.
type Responder struct {
	Genesis ledger.Genesis
	Machine *ledger.Machine
	Chain   Chain
}

// Answer answers one question.
func (r Responder) Answer(ask p2p.Ask, body []byte) ([]byte, error) {
	switch ask {
	case p2p.AskGenesis:
		return r.wholeGenesis(body)
	case p2p.AskGet:
		return r.get(body)
	case p2p.AskProve:
		return r.prove(body)
	case p2p.AskLight:
		return r.block(body)
	case p2p.AskList:
		return r.list(body)
	case p2p.AskPart:
		return r.part(body)
	case p2p.AskStatus:
		return r.status()
	}
	return nil, p2p.Refuse(p2p.CodeBadRequest, "unknown question %d", ask)
}

func noBlock() error {
	return p2p.Refuse(p2p.CodeBusy, "the chain has no block yet: try again in a moment")
}

// Bytes that canonical CBOR takes around a proof, and around all of an answer.
const (
	proofFrame  = 8
	answerFrame = 64
)

// get proves keys at the height before the newest header. That header names the root of
// the proofs, so a ledger that stands still can answer too.
func (r Responder) get(body []byte) ([]byte, error) {
	var q getQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if len(q.Keys) == 0 || len(q.Keys) > maxKeys {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "%d keys, 1 to %d", len(q.Keys), maxKeys)
	}
	height := r.Machine.Height()
	if height == 0 {
		return nil, noBlock()
	}
	size := 0
	proofs, err := r.proofs(q.Keys, height, &size)
	if err != nil {
		return nil, err
	}
	return canon.Encode(getAnswer{Height: height, Proofs: proofs}), nil
}

func (r Responder) block(body []byte) ([]byte, error) {
	var q headerQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	return r.rawBlock(q.Height)
}

// rawBlock is the bytes of a light block; height 0 is the newest.
func (r Responder) rawBlock(height unit.Height) ([]byte, error) {
	b, err := r.Chain.LightBlock(int64(height))
	if err != nil {
		return nil, err
	}
	p, err := b.ToProto()
	if err != nil {
		return nil, err
	}
	return p.Marshal()
}

var errPageFull = errors.New("the page is full")

// list is a page of keys that a getQuestion asked now can prove. The cost of a page
// depends on the page alone, not on the number of keys that begin with the prefix.
func (r Responder) list(body []byte) ([]byte, error) {
	var q listQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	height := r.Machine.Height()
	if height == 0 {
		return nil, noBlock()
	}
	v, err := r.Machine.ViewAt(height - 1)
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
			return errPageFull
		}
		a.Keys = append(a.Keys, k)
		size += len(k)
		read += len(value)
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return nil, fmt.Errorf("list: %w", err)
	}
	return canon.Encode(a), nil
}

// part is a part of a value, at a height that is still kept.
func (r Responder) part(body []byte) ([]byte, error) {
	var q partQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	if q.Height == 0 {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "no header names the state before the genesis")
	}
	v, err := r.Machine.ViewAt(q.Height - 1)
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

// wholeGenesis is all of the genesis for an empty question, and a part of it otherwise.
func (r Responder) wholeGenesis(body []byte) ([]byte, error) {
	whole := r.Genesis.Encode()
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

func (r Responder) status() ([]byte, error) {
	v, err := r.Machine.View()
	if err != nil {
		return nil, err
	}
	h, err := v.Head()
	if err != nil {
		return nil, err
	}
	return canon.Encode(Status{Height: h.Height, TimeMs: h.TimeMs, AtTip: r.Chain.AtTip()}), nil
}
