package client

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// nonces is which nonces this process is using, so that those who send from one
// wallet at the same time do not take each other's.
type nonces struct {
	mu    sync.Mutex // guards the fields below
	held  map[token.Address]map[uint64]bool
	freed chan struct{} // closed when one is given back
}

// take finds an unused nonce that nobody here holds, and holds it. The first try
// takes the lowest; later ones, after another process was quicker, any: processes
// that began alike must not stay alike. Where all in the window are held it waits,
// and asks for the account again.
func (n *nonces) take(ctx context.Context, a token.Address, account func() (ledger.Account, error), try int) (uint64, error) {
	for {
		acc, err := account()
		if err != nil {
			return 0, err
		}
		nonce, ok, freed := n.hold(a, acc, try > 0)
		if ok {
			return nonce, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (n *nonces) hold(a token.Address, acc ledger.Account, any bool) (nonce uint64, ok bool, freed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held == nil {
		n.held, n.freed = map[token.Address]map[uint64]bool{}, make(chan struct{})
	}
	var free []uint64
	for i := acc.Nonce; i-acc.Nonce <= ledger.NonceWindow; i++ {
		if acc.Unused(i) && !n.held[a][i] {
			free = append(free, i)
		}
	}
	if len(free) == 0 {
		return 0, false, n.freed
	}
	nonce = free[0]
	if any {
		nonce = free[rand.IntN(min(len(free), 32))]
	}
	if n.held[a] == nil {
		n.held[a] = map[uint64]bool{}
	}
	n.held[a][nonce] = true
	return nonce, true, nil
}

// give says that a nonce is used, or was not needed.
func (n *nonces) give(a token.Address, nonce uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if delete(n.held[a], nonce); len(n.held[a]) == 0 {
		delete(n.held, a)
	}
	close(n.freed)
	n.freed = make(chan struct{})
}
