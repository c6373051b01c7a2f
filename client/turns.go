package client

import (
	"context"
	"sync"
	"time"
)

// A node has a few places for the uploads of one client, and each upload waits in its place
// until a block shows that it is paid. Stores that are many at once therefore take turns in
// uploading, and pay at once: most uploads find their payment in a block already, and pass
// through a place within a moment.

// uploadsAtOnce is how many blobs a client uploads at the same time: some fewer than a node's
// streams for one peer, so that reads find room beside them.
const uploadsAtOnce = 5

// takenFor is how long after members took an upload others are paid for before they are offered.
const takenFor = time.Minute

// turns are the places for uploads of one client.
type turns struct {
	mu      sync.Mutex // guards the fields below
	busy    int        // uploads that have a place
	stores  int        // that run
	taken   time.Time  // when members with enough shards last took an upload
	changed chan struct{}
}

// store notes a store that runs; the returned function ends it.
func (t *turns) store() (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stores++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.stores--
	})
}

// crowded reports whether more stores run than upload at once.
func (t *turns) crowded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stores > uploadsAtOnce
}

// try takes a place that no store waits for.
func (t *turns) try() (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stores > uploadsAtOnce || t.busy >= uploadsAtOnce {
		return nil, false
	}
	return t.enter(), true
}

// take waits for a place.
func (t *turns) take(ctx context.Context) (leave func(), err error) {
	for {
		t.mu.Lock()
		if t.busy < uploadsAtOnce {
			defer t.mu.Unlock()
			return t.enter(), nil
		}
		changed := t.change()
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// enter takes a place that is free; t.mu is held.
func (t *turns) enter() (leave func()) {
	t.busy++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.busy--
		t.wake()
	})
}

// awaitTaken waits until members have taken an upload lately: then there is reason to pay for
// others.
func (t *turns) awaitTaken(ctx context.Context) error {
	for {
		t.mu.Lock()
		if time.Since(t.taken) < takenFor {
			defer t.mu.Unlock()
			return nil
		}
		changed := t.change()
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// took notes that members with enough shards have taken an upload.
func (t *turns) took() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = time.Now()
	t.wake()
}

// change is closed at the next change; t.mu is held.
func (t *turns) change() <-chan struct{} {
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

func (t *turns) wake() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
