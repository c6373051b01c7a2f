package blobs

import (
	"context"
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// changes lets one change of the leases on a blob run at a time. A change looks at the ledger
// and then adds to what it saw: two at once, as when a client hangs up and asks again, would
// both add.
type changes struct {
	mu   sync.Mutex // guards held
	held map[blob.ID]*change
}

// change is the turn on a blob.
type change struct {
	free  chan struct{} // has an element while no change runs
	users int           // that run or wait; guarded by changes.mu
}

// take waits for the turn on a blob. leave gives it back, however often it is called.
func (c *changes) take(ctx context.Context, id blob.ID) (leave func(), err error) {
	c.mu.Lock()
	if c.held == nil {
		c.held = map[blob.ID]*change{}
	}
	t := c.held[id]
	if t == nil {
		t = &change{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		c.held[id] = t
	}
	t.users++
	c.mu.Unlock()
	drop := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(c.held, id)
		}
	}
	select {
	case <-t.free:
		return sync.OnceFunc(func() { t.free <- struct{}{}; drop() }), nil
	case <-ctx.Done():
		drop()
		return nil, ctx.Err()
	}
}
