package s3

import (
	"context"
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// holds keeps a blob's lease from being given back while a body that is the same bytes is
// on its way into the index.
type holds struct {
	mu        sync.Mutex
	users     map[blob.ID]int           // guarded by mu
	inherited map[blob.ID]bool          // guarded by mu; of users, leases that are the door's since another door gave them up
	returning map[blob.ID]chan struct{} // guarded by mu; closed when the lease was given back
}

func newHolds() *holds {
	return &holds{users: map[blob.ID]int{}, inherited: map[blob.ID]bool{}, returning: map[blob.ID]chan struct{}{}}
}

// take waits until the blob is not being given back.
func (h *holds) take(ctx context.Context, id blob.ID) error {
	for {
		h.mu.Lock()
		gone, busy := h.returning[id]
		if !busy {
			h.users[id]++
			h.mu.Unlock()
			return nil
		}
		h.mu.Unlock()
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// more adds users to a blob that is held.
func (h *holds) more(id blob.ID, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users[id] += n
}

// inherit says whether a blob is held, and if so makes its lease the door's.
func (h *holds) inherit(id blob.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[id] == 0 {
		return false
	}
	h.inherited[id] = true
	return true
}

// isInherited says whether the lease on a blob that is held has become the door's.
func (h *holds) isInherited(id blob.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inherited[id]
}

// leave says whether the last user has left, and whether the lease was inherited.
func (h *holds) leave(id blob.ID) (last, inherited bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[id]--; h.users[id] > 0 {
		return false, false
	}
	inherited = h.inherited[id]
	delete(h.users, id)
	delete(h.inherited, id)
	return true, inherited
}

// begin marks a blob as being given back, if it has no user. The caller calls done.
func (h *holds) begin(id blob.ID) (done func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[id] > 0 || h.returning[id] != nil {
		return nil, false
	}
	gone := make(chan struct{})
	h.returning[id] = gone
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.returning, id)
		close(gone)
	}, true
}

// Inherit says whether the door needs the wallet's lease on a blob that another door gives up.
// If so, the lease is the door's from now on, and given back with its last object. Where that
// cannot be read or written it is needed.
func (s *Server) Inherit(id blob.ID) bool {
	if s.holds.inherit(id) {
		return true
	}
	if _, used, err := s.index.db.Get(leaseKey(id)); err == nil && !used {
		return false
	}
	needed := false
	err := s.index.change(s.ctx, func(c *change) error {
		l, used, err := read[lease](c, leaseKey(id))
		if err != nil || !used {
			return err
		}
		needed, l.Own = true, true
		c.put(leaseKey(id), l)
		return nil
	})
	return needed || err != nil
}
