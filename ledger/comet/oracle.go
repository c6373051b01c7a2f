package comet

import (
	"context"
	"errors"
	"time"

	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
)

// Oracle answers the ledger protocol from a chain.
type Oracle struct{ c *Chain }

// Oracle answers the questions of others about this chain.
func (c *Chain) Oracle() Oracle { return Oracle{c} }

// Answer answers one question.
func (o Oracle) Answer(ctx context.Context, from peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	switch ask {
	case p2p.AskSubmit:
		r, err := o.submit(ctx, from, body)
		return ledger.EncodeTxReceipt(r), err
	case p2p.AskSubmitProve:
		return o.responder().SubmitAndProve(ctx, body, func(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
			return o.submit(ctx, from, tx)
		})
	case p2p.AskSnapshot, p2p.AskState:
		return o.c.snapshots.Answer(ask, body)
	case p2p.AskHistory:
		return light.AnswerHistory(o.c, body)
	default:
		r := o.responder()
		o.c.awaiting.wait(func() { r.Await(ctx, ask, body) })
		return r.Answer(ask, body)
	}
}

// maxAwaiting is how many questions may wait for a block that is still to come: a quarter of
// the questions that are answered at once. Waiting costs a stranger nothing, and keeps a place
// from others.
const maxAwaiting = 24

// waits has room for the questions that wait.
type waits chan struct{}

// wait waits, unless too many do.
func (w waits) wait(until func()) {
	select {
	case w <- struct{}{}:
		defer func() { <-w }()
		until()
	default: // the asker asks again
	}
}

func (o Oracle) responder() light.Responder {
	return light.Responder{Genesis: o.c.options.Genesis, Machine: o.c.machine, Chain: o.c}
}

// submit submits a peer's transaction and waits until a block holds it.
func (o Oracle) submit(ctx context.Context, from peer.ID, tx []byte) (ledger.TxReceipt, error) {
	if o.c.offenders.shut(from) {
		return ledger.TxReceipt{}, p2p.Refuse(p2p.CodeBusy, "%d of your transactions had wrong signatures or proofs: wait for %s", wrongsAllowed, wrongsTime)
	}
	r, err := o.c.Submit(ctx, tx)
	o.c.offenders.note(from, r.Code)
	switch {
	case errors.Is(err, light.ErrHalted):
		err = p2p.Refuse(p2p.CodeWait, "%v", light.ErrHalted)
	case errors.Is(err, errFull):
		err = p2p.Refuse(p2p.CodeBusy, "%v", err)
	}
	return r, err
}

// LightBlock is the header of a height, the signatures under it, and the committee that
// signed; height 0 is the newest. Of a height that was pruned it is the next one that is
// kept for ever, if there is one.
func (c *Chain) LightBlock(height int64) (*types.LightBlock, error) {
	blocks := c.node.BlockStore()
	if height == 0 {
		height = int64(c.machine.Height())
	}
	b, err := lightBlockOf(blocks, c.states, height)
	if err != nil {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "block %d is not complete here yet", height)
	}
	if b == nil && height > 0 && height < blocks.Base() {
		b, err = c.keeper.from(height)
	}
	if b == nil && err == nil {
		err = p2p.Refuse(p2p.CodeNotHeld, "no block %d here, the newest is %d", height, blocks.Height())
	}
	return b, err
}

// History is the headers that are kept for ever; see light.Archive.
func (c *Chain) History(from, most int64) (blocks [][]byte, more bool, err error) {
	return c.keeper.history(from, most)
}

// validatorsAt is the committee that signed a height. Whose turn to propose it was is left out
// of the account: a header does not name it, and to work it out costs a step for each
// block since the committee was chosen, up to 100,000.
func validatorsAt(states sm.Store, height int64) (*types.ValidatorSet, error) {
	if fast, ok := states.(interface {
		LoadValidatorsFast(height int64) (*types.ValidatorSet, error)
	}); ok {
		return fast.LoadValidatorsFast(height)
	}
	return states.LoadValidators(height)
}

// NewestBlock names the newest block that this node's ledger has, and its time.
func (c *Chain) NewestBlock() (light.Checkpoint, time.Time, error) {
	b, err := c.LightBlock(0)
	if err != nil {
		return light.Checkpoint{}, time.Time{}, err
	}
	return light.Checkpoint{Height: b.Height, Hash: blob.Hash(b.Hash())}, b.Time, nil
}
