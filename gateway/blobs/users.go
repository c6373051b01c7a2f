package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// ErrNeeded is returned where a lease is not given up, because another user needs it.
var ErrNeeded = errors.New("another user of the gateway needs the wallet's lease on the blob")

// users keeps the stores and the deletions of a blob apart: all users of a wallet share its
// lease on equal bytes, and a store that finds the lease there pays none.
type users struct {
	mu      sync.Mutex
	stores  map[blob.ID]int           // guarded by mu; under way, from the moment the ID is known
	deleted map[blob.ID]chan struct{} // guarded by mu; closed when the deletion has ended
}

func newUsers() *users {
	return &users{stores: map[blob.ID]int{}, deleted: map[blob.ID]chan struct{}{}}
}

// enter begins a store, once no deletion of the blob is under way.
func (u *users) enter(ctx context.Context, id blob.ID) error {
	for {
		u.mu.Lock()
		gone, busy := u.deleted[id]
		if !busy {
			u.stores[id]++
			u.mu.Unlock()
			return nil
		}
		u.mu.Unlock()
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave ends a store.
func (u *users) leave(id blob.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stores[id]--; u.stores[id] == 0 {
		delete(u.stores, id)
	}
}

// end begins a deletion, which done ends, unless a store or another deletion of the blob is
// under way.
func (u *users) end(id blob.ID) (done func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stores[id] > 0 || u.deleted[id] != nil {
		return nil, fmt.Errorf("%w: %s is being stored or given up", ErrBusy, id)
	}
	gone := make(chan struct{})
	u.deleted[id] = gone
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.deleted, id)
		close(gone)
	}, nil
}
