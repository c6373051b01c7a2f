package ledger

import (
	"fmt"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

// Limits of what is remembered of the mempool.
const (
	waitingSize   = 1 << 15 // nonces in each of the two generations
	waitingBlocks = 40      // after which a transaction that no block took is given up
)

// waiting remembers which transaction was admitted for a nonce. Without it, one
// account could fill the mempool and the blocks with transactions of one nonce, of
// which one is paid for. It is a node's own policy and no part of the rules: a block
// may hold what another node admitted.
type waiting struct {
	mu       sync.Mutex // guards the fields below
	now, old map[place]admitted
}

type place struct {
	signer token.PublicKey
	nonce  uint64
}

type admitted struct {
	tx     blob.Hash
	height uint64
}

func newWaiting() *waiting { return &waiting{now: map[place]admitted{}} }

// admit takes the place of a transaction, unless another one has it.
func (w *waiting) admit(tx Tx, hash blob.Hash, height uint64) error {
	if tx.Kind.Unsigned() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place{tx.Signer, tx.Nonce}
	was, ok := w.now[at]
	if !ok {
		was, ok = w.old[at]
	}
	if ok && was.tx != hash && height < was.height+waitingBlocks {
		return fmt.Errorf("nonce %d: another transaction with it waits for a block: %w", tx.Nonce, ErrNonce)
	}
	if len(w.now) >= waitingSize {
		w.old, w.now = w.now, map[place]admitted{}
	}
	w.now[at] = admitted{hash, height}
	return nil
}

// settled frees the place of a transaction that a block held, done or refused.
func (w *waiting) settled(tx Tx) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place{tx.Signer, tx.Nonce}
	delete(w.now, at)
	delete(w.old, at)
}
