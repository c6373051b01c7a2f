package client

import (
	"context"
	"sync"
	"time"
)

// A node has a few places for the uploads of one client, and each upload waits in its place
// until a block shows that it is paid. Stores that are many at once therefore take turns in
// uploading, and pay at once: most uploads find their payment in a block already, and pass
// through a place within a moment. The turns come in the order in which the payments were
// sent. A store that cannot send its own yet, since the wallet has as many transactions on
// their way as it may, has no turn: it would keep its place for blocks.

// uploadsAtOnce is how many blobs a client uploads at the same time: some fewer than a node's
// streams for one peer, so that reads find room beside them.
const uploadsAtOnce = 5

// takenFor is how long after members took an upload others are paid for before they are offered.
const takenFor = time.Minute

// turns are the places for uploads of one client.
type turns struct {
	mu      sync.Mutex // guards the fields below
	busy    int        // uploads that have a place
	stores  map[*turn]struct{}
	sent    int       // stores that have sent their payments, ever
	taken   time.Time // when members with enough shards last took an upload
	failed  bool      // they have not taken the last one
	changed chan struct{}
}

// turn is a store among those of its client.
type turn struct {
	of *turns
	// Guarded by of.mu.
	sent    int // how many stores had sent their payments with it; 0: it has not
	waiting bool
	placed  bool
}

// store notes a store that runs, until its end is called.
func (t *turns) store() *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stores == nil {
		t.stores = map[*turn]struct{}{}
	}
	w := &turn{of: t}
	t.stores[w] = struct{}{}
	t.wake() // they may be many now
	return w
}

// end says that the store has ended.
func (w *turn) end() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	delete(w.of.stores, w)
	w.of.wake()
}

// sends says that the store's payment is sent, or that it has none to send.
func (w *turn) sends() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	if w.sent == 0 {
		w.of.sent++
		w.sent = w.of.sent
		w.of.wake()
	}
}

// crowded reports whether more stores run than upload at once; t.mu is held.
func (t *turns) crowded() bool { return len(t.stores) > uploadsAtOnce }

// payAhead reports whether stores may pay before members have taken their uploads: there are
// many, and members have taken others lately. t.mu is held.
func (t *turns) payAhead() bool { return t.crowded() && time.Since(t.taken) < takenFor }

// try takes a place that no store waits for.
func (t *turns) try() (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.crowded() || t.busy >= uploadsAtOnce {
		return nil, false
	}
	return t.enter(), true
}

// take waits for a place.
func (w *turn) take(ctx context.Context) (leave func(), err error) {
	t := w.of
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		w.waiting = false
	}()
	for {
		t.mu.Lock()
		w.waiting = true
		if t.mayEnter(w) {
			defer t.mu.Unlock()
			w.placed = true
			leave := t.enter()
			return func() {
				t.mu.Lock()
				w.placed = false
				t.mu.Unlock()
				leave()
			}, nil
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

// mayEnter reports whether the next place is a store's that waits for one; t.mu is held.
func (t *turns) mayEnter(w *turn) bool {
	switch {
	case t.busy >= uploadsAtOnce:
		return false
	case !t.crowded():
		return true
	case w.sent == 0 && t.payAhead():
		return false // it sends its payment as soon as it can
	}
	for o := range t.stores {
		switch {
		case o.waiting && o.sent > 0 && (w.sent == 0 || o.sent < w.sent):
			return false
		case o.placed && o.sent == 0 && w.sent == 0 && !t.failed:
			return false // that one finds out whether members take uploads
		}
	}
	return true
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

// awaitPayAhead waits until a store may pay before members have taken its upload.
func (t *turns) awaitPayAhead(ctx context.Context) error {
	for {
		t.mu.Lock()
		if t.payAhead() {
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

// took notes whether members with enough shards have taken an upload.
func (t *turns) took(yes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if yes {
		t.taken = time.Now()
	}
	t.failed = !yes
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
