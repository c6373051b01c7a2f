package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// nonceTries bounds how often a transaction is signed again because another process
// with the same wallet was quicker.
const nonceTries = 16

// Send signs a transaction with key and waits until a block holds it. Any number of
// goroutines and processes may spend from one wallet at the same time.
func (c *Client) Send(ctx context.Context, key token.Key, body ledger.Body) (ledger.Receipt, error) {
	for try := 0; ; try++ {
		receipt, err := c.sendOnce(ctx, key, body, try)
		if errors.Is(err, ledger.ErrNonce) && try < nonceTries {
			continue
		}
		if err != nil {
			return receipt, fmt.Errorf("transaction of %s: %w", key.Address(), err)
		}
		return receipt, nil
	}
}

func (c *Client) sendOnce(ctx context.Context, key token.Key, body ledger.Body, try int) (ledger.Receipt, error) {
	var params ledger.Params
	account := func() (ledger.Account, error) {
		v, err := c.ledger.View(ctx)
		if err != nil {
			return ledger.Account{}, err
		}
		if params, err = v.Params(); err != nil {
			return ledger.Account{}, err
		}
		return v.Account(key.Address())
	}
	nonce, err := c.nonces.take(ctx, key.Address(), account, try)
	if err != nil {
		return ledger.Receipt{}, err
	}
	receipt, err := c.ledger.Submit(ctx, sign(key, c.chain, nonce, params.Fees, body))
	if err == nil {
		err = receipt.Err()
	}
	c.nonces.give(key.Address(), nonce, err == nil || errors.Is(err, ledger.ErrNonce))
	return receipt, err
}

// feeSpread is what a fee is above the least at most, at random: two processes that
// pay the same from one wallet at the same moment make two transactions, not one
// that both are told of as theirs.
const feeSpread = 4096

// sign signs with the least fee and a little.
func sign(key token.Key, chain token.ChainID, nonce uint64, fees ledger.Fees, body ledger.Body) []byte {
	fee := leastFee(key, chain, nonce, fees, body) + token.Amount(rand.IntN(feeSpread))
	return ledger.Sign(key, chain, nonce, fee, body)
}

// leastFee is what a transaction costs. The fee's own bytes count: it is found by
// signing once without.
func leastFee(key token.Key, chain token.ChainID, nonce uint64, fees ledger.Fees, body ledger.Body) token.Amount {
	const feeBytes = 8
	return fees.Of(len(ledger.Sign(key, chain, nonce, 0, body)) + feeBytes)
}
