package comet

import (
	"context"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/unit"
)

var errFull = errors.New("too many transactions wait for a block on this node: try again in a moment")

// Submit puts a transaction into the mempool and waits until a block holds it. The
// same transaction may be submitted by many, and again: all get its one receipt.
func (c *Chain) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	done, stop := c.app.await(ledger.TxHash(tx))
	defer stop()
	r, decided, err := c.check(ctx, tx)
	if err != nil || decided {
		return r, err
	}
	select {
	case r := <-done:
		return r, nil
	case <-ctx.Done():
		return ledger.TxReceipt{}, errors.Join(light.ErrHalted, ctx.Err())
	}
}

// check puts a transaction into the mempool. decided says that there is nothing to
// wait for.
func (c *Chain) check(ctx context.Context, tx []byte) (r ledger.TxReceipt, decided bool, err error) {
	if len(tx) > int(c.options.Genesis.Params.LargestTx()) {
		return refused(c.machine.Height(), c.machine.Check(tx))
	}
	checked := make(chan *abci.ResponseCheckTx, 1)
	err = c.node.Mempool().CheckTx(tx, func(r *abci.ResponseCheckTx) { checked <- r }, mempool.TxInfo{})
	var full mempool.ErrMempoolIsFull
	switch {
	case errors.Is(err, mempool.ErrTxInCache):
		return c.again(ctx, tx)
	case errors.As(err, &full):
		return r, false, errFull
	case err != nil:
		return r, false, fmt.Errorf("submit: %w", err)
	}
	select {
	case answer := <-checked:
		if answer.Code == 0 {
			return r, false, nil
		}
		// It may be in a block that came between: then that is what became of it.
		if r, ok, err := c.app.receiptAt(ctx, c.machine.Height(), ledger.TxHash(tx)); ok || err != nil {
			return r, ok, err
		}
		return ledger.TxReceipt{Height: c.machine.Height(), Code: ledger.Code(answer.Code), Log: answer.Log}, true, nil
	case <-ctx.Done():
		return r, false, ctx.Err()
	}
}

// again is for a transaction that the mempool has met: it waits for a block, or was
// in one so long ago that its receipt is forgotten. Then the state refuses it now.
func (c *Chain) again(ctx context.Context, tx []byte) (ledger.TxReceipt, bool, error) {
	err := c.machine.Check(tx)
	height := c.machine.Height()
	if r, ok, err := c.app.receiptAt(ctx, height, ledger.TxHash(tx)); ok || err != nil {
		return r, ok, err
	}
	return refused(height, err)
}

// refused is the receipt of a transaction that the rules refuse; nil decides nothing.
func refused(height unit.Height, err error) (ledger.TxReceipt, bool, error) {
	switch {
	case err == nil:
		return ledger.TxReceipt{}, false, nil
	case !ledger.Refused(err):
		return ledger.TxReceipt{}, false, err
	}
	return ledger.TxReceipt{Height: height, Code: ledger.CodeOf(err), Log: err.Error()}, true, nil
}
