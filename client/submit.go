package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// nonceTries bounds how often a transaction is signed again because another process
// with the same wallet was quicker.
const nonceTries = 16

// Send signs a transaction with key and waits until a block holds it. Several
// processes may spend from one wallet at the same time: who comes second takes the
// next nonce.
func (c *Client) Send(ctx context.Context, key token.Key, body ledger.Body) (ledger.Receipt, error) {
	for try := 0; ; try++ {
		v, err := c.ledger.View(ctx)
		if err != nil {
			return ledger.Receipt{}, err
		}
		params, err := v.Params()
		if err != nil {
			return ledger.Receipt{}, err
		}
		account, err := v.Account(key.Address())
		if err != nil {
			return ledger.Receipt{}, err
		}
		tx := sign(key, c.chain, unusedNonce(account, try), params.Fees, body)
		receipt, err := c.ledger.Submit(ctx, tx)
		if err == nil {
			err = receipt.Err()
		}
		if errors.Is(err, ledger.ErrNonce) && try < nonceTries {
			continue
		}
		if err != nil {
			return receipt, fmt.Errorf("transaction of %s: %w", key.Address(), err)
		}
		return receipt, nil
	}
}

// sign signs with the least fee. The fee's own bytes count: it is found by signing once without.
func sign(key token.Key, chain token.ChainID, nonce uint64, fees ledger.Fees, body ledger.Body) []byte {
	const feeBytes = 8
	size := len(ledger.Sign(key, chain, nonce, 0, body)) + feeBytes
	return ledger.Sign(key, chain, nonce, fees.Of(size), body)
}

// unusedNonce is the skip-th unused nonce of an account.
func unusedNonce(a ledger.Account, skip int) uint64 {
	n := a.Nonce
	for {
		if a.Unused(n) {
			if skip == 0 {
				return n
			}
			skip--
		}
		n++
	}
}
