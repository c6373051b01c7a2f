package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// nonceTries bounds how often a transaction is signed again because another process
// with the same wallet was quicker.
const nonceTries = 16

// A transaction may wait for its block for lastBlocks blocks, and lastMs at least.
const (
	lastBlocks = 100
	lastMs     = 60_000
)

// Send signs a transaction with key and waits until the ledger shows what became of it.
// Any number of goroutines and processes may spend from one wallet at the same time.
//
// It is signed anew only once the records show that it can never be done, because its
// nonce was used by another or its last block has passed: a stranger that kept the bytes
// cannot make the signer pay twice.
//
// With an Outbox, a transaction that does the same and that an interrupted process has
// left is sent again, the same bytes, in place of a second one.
func (c *Client) Send(ctx context.Context, key token.Key, body ledger.Body) (ledger.TxReceipt, error) {
	return c.sendFrom(ctx, key, body, nil, func() {})
}

// unsent is an error before anything was handed to the ledger.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// IsUnpaid says that an error of Send is certain to have cost nothing: the ledger has refused
// the transaction, or none was handed to it. Of others it is not known: what was sent may still
// be done, and a refusal that the records do not show is a word.
func IsUnpaid(err error) bool {
	var nothing unsent
	var refusal *ledger.Refusal
	var word light.Unproven
	var pending light.Pending
	return errors.As(err, &nothing) || errors.As(err, &refusal) && !errors.As(err, &word) && !errors.As(err, &pending)
}

// spender is a signer's account and what a transaction of it takes, as one state has them.
type spender struct {
	account ledger.Account
	params  ledger.Params
	height  unit.Height
}

func readSpender(v ledger.View, a token.Address) (*spender, error) {
	if err := v.Prefetch(ledger.KeyHead(), ledger.KeyRules(), ledger.KeyAccount(a)); err != nil {
		return nil, err
	}
	head, err := v.Head()
	if err != nil {
		return nil, err
	}
	params, err := v.Params()
	if err != nil {
		return nil, err
	}
	account, err := v.Account(a)
	return &spender{account, params, head.Height}, err
}

// sendFrom is Send with the signer's account where it was read moments ago; sending is told
// that the transaction has a nonce and is about to be sent.
func (c *Client) sendFrom(ctx context.Context, key token.Key, body ledger.Body, known *spender, sending func()) (ledger.TxReceipt, error) {
	receipt, found, err := c.again(ctx, key, body)
	for try := 0; !found; try++ {
		receipt, err = c.sendOnce(ctx, key, body, try, known, sending)
		known = nil
		lost := receipt.Code == ledger.ErrNonce.Code || receipt.Code == ledger.ErrExpired.Code
		found = err != nil || !lost || try == nonceTries
	}
	if err == nil {
		err = receipt.Err()
	}
	if err != nil {
		return receipt, fmt.Errorf("transaction of %s: %w", key.Address(), err)
	}
	return receipt, nil
}

// prover is a ledger whose receipts its records have shown already.
type prover interface{ Proves() bool }

// Limits of how often a transaction is submitted again, the same bytes, because the
// records do not show what was said of it.
const (
	proofTries = 8
	proofPause = 200 * time.Millisecond
)

// shower is a ledger that gives the state which shows a receipt.
type shower interface {
	SubmitAnd(ctx context.Context, tx []byte, keys ...[]byte) (ledger.TxReceipt, ledger.View, error)
}

// submitAnd is submit, and gives the state that shows the receipt with keys read in it; nil
// where it has to be looked at again.
func (c *Client) submitAnd(ctx context.Context, tx []byte, keys ...[]byte) (ledger.TxReceipt, *ledger.View, error) {
	s, ok := c.ledger.(shower)
	if p, proves := c.ledger.(prover); !ok || !proves || !p.Proves() {
		receipt, err := c.submit(ctx, tx)
		return receipt, nil, err
	}
	receipt, v, err := s.SubmitAnd(ctx, tx, keys...)
	if v.R == nil {
		return receipt, nil, err
	}
	return receipt, &v, err
}

// submit hands on a transaction until the ledger's records show what became of it. A
// receipt that they do not show is a word: it is never believed, and costs time.
func (c *Client) submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	if p, ok := c.ledger.(prover); ok && p.Proves() {
		return c.ledger.Submit(ctx, tx)
	}
	for try := 1; ; try++ {
		said, err := c.ledger.Submit(ctx, tx)
		if err != nil {
			return said, err
		}
		v, err := c.ledger.View(ctx)
		if err != nil {
			return said, err
		}
		shown, known, err := v.Fate(tx)
		switch {
		case err != nil:
			return said, err
		case known:
			if shown.Code == said.Code {
				shown.Log = said.Log
			}
			return shown, nil
		case said.Code != 0 && said.Code != ledger.ErrNonce.Code:
			return said, light.Unproven{TxReceipt: said}
		case try == proofTries:
			return said, light.Pending{Why: fmt.Errorf("a node says that block %d holds it, and the ledger does not show it", said.Height)}
		}
		select {
		case <-ctx.Done():
			return said, light.Pending{Why: ctx.Err()}
		case <-time.After(proofPause):
		}
	}
}

// sendOnce gives the receipt that the records show.
func (c *Client) sendOnce(ctx context.Context, key token.Key, body ledger.Body, try int, known *spender, sending func()) (ledger.TxReceipt, error) {
	now := known
	account := func() (ledger.Account, error) {
		if known != nil {
			known = nil // the next look is for what has changed
			return now.account, nil
		}
		v, err := c.ledger.View(ctx)
		if err != nil {
			return ledger.Account{}, err
		}
		if now, err = readSpender(v, key.Address()); err != nil {
			return ledger.Account{}, err
		}
		return now.account, nil
	}
	nonce, err := c.nonces.take(ctx, key.Address(), account, try)
	if err != nil {
		return ledger.TxReceipt{}, unsent{err} // what was sent before can never be done
	}
	until := (now.height + lastBlocks).Plus(lastMs / max(1, now.params.BlockMs))
	raw := sign(key, c.chain, nonce, until, now.params.Fees, body)
	sending()
	receipt, err := c.keep(ctx, raw)
	// One that no block holds yet keeps its nonce: the next transaction with it and this
	// one cannot both be done.
	c.nonces.give(key.Address(), nonce, err == nil && (receipt.Code == 0 || receipt.Code == ledger.ErrNonce.Code))
	return receipt, err
}

// keep submits a new transaction, which lies in the outbox until it is known what became
// of it.
func (c *Client) keep(ctx context.Context, raw []byte) (ledger.TxReceipt, error) {
	if c.Outbox == nil {
		receipt, shown, err := c.submitAnd(ctx, raw)
		c.saw(raw, shown)
		return receipt, err
	}
	k, err := c.Outbox.put(raw)
	if err != nil {
		return ledger.TxReceipt{}, unsent{err}
	}
	return c.finish(ctx, k)
}

// finish submits a kept transaction, and forgets it once it is known what became of it.
func (c *Client) finish(ctx context.Context, k *outboxEntry) (ledger.TxReceipt, error) {
	if c.Sent != nil {
		defer c.Sent(k.tx)()
	}
	receipt, shown, err := c.submitAnd(ctx, k.raw)
	c.saw(k.raw, shown)
	if err == nil || errors.Is(err, ledger.ErrForgotten) { // it is told once that nothing can be told
		k.drop()
	} else {
		k.leave()
	}
	return receipt, err
}

// saw notes the account that shows what became of a transaction, which has nonces that others
// wait for.
func (c *Client) saw(raw []byte, shown *ledger.View) {
	if shown == nil {
		return
	}
	tx, _, err := ledger.DecodeTx(raw)
	if err != nil || tx.Kind.Unsigned() {
		return
	}
	if account, err := shown.Account(tx.Signer.Address()); err == nil { // which was read with its fate
		c.nonces.saw(tx.Signer.Address(), account)
	}
}

// again sends a transaction that an interrupted process has left and that does the same,
// if there is one. What is decided is told and forgotten; one that can never be done any
// more is as good as none.
func (c *Client) again(ctx context.Context, key token.Key, body ledger.Body) (receipt ledger.TxReceipt, found bool, err error) {
	if c.Outbox == nil {
		return receipt, false, nil
	}
	kind, raw := ledger.KindOf(body)
	k := c.Outbox.same(key.Public(), kind, raw)
	if k == nil {
		return receipt, false, nil
	}
	if c.Resumed != nil {
		c.Resumed(k.tx)
	}
	receipt, err = c.finish(ctx, k)
	if err == nil && (receipt.Code == ledger.ErrExpired.Code || receipt.Code == ledger.ErrNonce.Code) {
		return receipt, false, nil
	}
	return receipt, true, err
}

// feeSpread is what a fee is above the least at most, at random: two processes that
// pay the same from one wallet at the same moment make two transactions, not one
// that both are told of as theirs.
const feeSpread = 4096

// sign signs with the least fee and a little.
func sign(key token.Key, chain token.ChainID, nonce uint64, until unit.Height, fees ledger.Fees, body ledger.Body) []byte {
	fee := leastFee(key, chain, nonce, until, fees, body) + token.Amount(rand.IntN(feeSpread))
	return ledger.SignUntil(key, chain, nonce, fee, until, body)
}

// leastFee is what a transaction costs. The fee's own bytes count: it is found by
// signing once without.
func leastFee(key token.Key, chain token.ChainID, nonce uint64, until unit.Height, fees ledger.Fees, body ledger.Body) token.Amount {
	const feeBytes = 8
	return fees.Of(len(ledger.SignUntil(key, chain, nonce, 0, until, body)) + feeBytes)
}
