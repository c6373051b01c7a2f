package client

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// seenAfter is how long is waited before an account without a free nonce is read again.
const seenAfter = 100 * time.Millisecond

// spentFor is how long a nonce is taken for spent though the account does not show
// it: a node may have refused it that was behind.
const spentFor = 10 * time.Second

// nonces is which nonces this process is using, so that senders from one wallet do not
// take each other's at the same time.
type nonces struct {
	mu    sync.Mutex                             // guards the fields below
	held  map[token.Address]map[uint64]time.Time // zero: in use; else spent, and held until then or seen as used
	seen  map[token.Address]ledger.Account       // as the ledger showed it last
	asks  map[token.Address]bool                 // a sender asks for the account
	freed chan struct{}                          // closed when one is given back, or an account was seen
}

// take finds an unused nonce that this process does not hold yet, and holds it. The first
// try takes the lowest; later ones, after another process was quicker, any: processes
// that began alike must not stay alike. Where all in the window are held it waits, and
// one of those that wait asks for the account again.
func (n *nonces) take(ctx context.Context, a token.Address, account func() (ledger.Account, error), try int) (uint64, error) {
	acc, err := account()
	for {
		if err != nil {
			return 0, err
		}
		nonce, ok, freed := n.hold(a, acc, try > 0)
		if ok {
			return nonce, nil
		}
		select {
		case <-freed:
		case <-time.After(n.pause(a)): // a block may show what is spent
			if n.ask(a) {
				acc, err = account()
				n.answered(a, acc, err)
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// pause is how long is waited before the account is read again: longer while senders of this
// process use nonces, since their receipts show the account.
func (n *nonces) pause(a token.Address) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, until := range n.held[a] {
		if until.IsZero() {
			return 10 * seenAfter
		}
	}
	return seenAfter
}

// ask says whether this sender is to ask for the account: one does for all.
func (n *nonces) ask(a token.Address) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asks[a] {
		return false
	}
	n.asks[a] = true
	return true
}

func (n *nonces) answered(a token.Address, acc ledger.Account, err error) {
	if err == nil {
		n.saw(a, acc)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.asks, a)
}

// saw notes an account as the ledger shows it.
func (n *nonces) saw(a token.Address, acc ledger.Account) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.prepare()
	if newer(acc, n.seen[a]) {
		n.seen[a] = acc
		n.wake()
	}
}

// newer says whether a has used more nonces than b.
func newer(a, b ledger.Account) bool {
	return a.Nonce > b.Nonce || a.Nonce == b.Nonce && a.Used&^b.Used != 0
}

func (n *nonces) prepare() {
	if n.held == nil {
		n.held, n.seen, n.asks, n.freed = map[token.Address]map[uint64]time.Time{}, map[token.Address]ledger.Account{}, map[token.Address]bool{}, make(chan struct{})
	}
}

func (n *nonces) wake() {
	close(n.freed)
	n.freed = make(chan struct{})
}

func (n *nonces) hold(a token.Address, acc ledger.Account, any bool) (nonce uint64, ok bool, freed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.prepare()
	if newer(n.seen[a], acc) {
		acc = n.seen[a]
	}
	for i, until := range n.held[a] {
		if !until.IsZero() && (!acc.Unused(i) || time.Now().After(until)) {
			delete(n.held[a], i)
		}
	}
	var free []uint64
	for i := acc.Nonce; i-acc.Nonce <= ledger.NonceWindow; i++ {
		if _, held := n.held[a][i]; !held && acc.Unused(i) {
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
		n.held[a] = map[uint64]time.Time{}
	}
	n.held[a][nonce] = time.Time{}
	return nonce, true, nil
}

// give says that a nonce was spent, by this process or another, or that it is free again.
// A spent one is held until the account shows it: what is read is a block or more behind.
func (n *nonces) give(a token.Address, nonce uint64, spent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if spent {
		n.held[a][nonce] = time.Now().Add(spentFor)
	} else {
		delete(n.held[a], nonce)
	}
	n.wake()
}
