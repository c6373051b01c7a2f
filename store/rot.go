package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// rot is what was found rotten and is not yet cleared away. From the moment it is
// found it counts as missing; writing it again heals it.
type rot struct {
	any       *atomic.Int64 // number of both, so that a healthy store takes no lock
	mu        *sync.Mutex   // guards the fields below
	addresses map[blob.Address]bool
	slots     map[slot]bool
}

func newRot() rot {
	return rot{any: new(atomic.Int64), mu: new(sync.Mutex), addresses: map[blob.Address]bool{}, slots: map[slot]bool{}}
}

func (r rot) bytes(a blob.Address) bool {
	if r.any.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addresses[a]
}

func (r rot) slot(s slot) bool {
	if r.any.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slots[s]
}

// has reports whether a fragment is missing for its bytes' sake or its witness's.
func (r rot) has(at blob.Position, a blob.Address) bool {
	return r.bytes(a) || r.slot(slotOf(at))
}

func (r rot) add(a blob.Address) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.addresses[a] {
		return false
	}
	r.addresses[a] = true
	r.any.Add(1)
	return true
}

func (r rot) addSlot(s slot) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots[s] {
		return false
	}
	r.slots[s] = true
	r.any.Add(1)
	return true
}

func (r rot) healed(as []blob.Address) {
	if len(as) == 0 || r.any.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range as {
		if r.addresses[a] {
			delete(r.addresses, a)
			r.any.Add(-1)
		}
	}
}

func (r rot) healedSlot(s slot) {
	if r.any.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots[s] {
		delete(r.slots, s)
		r.any.Add(-1)
	}
}

// list is what is to be cleared away.
func (r rot) list() (as []blob.Address, ss []slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := range r.addresses {
		as = append(as, a)
	}
	for s := range r.slots {
		ss = append(ss, s)
	}
	return as, ss
}

// found notes bytes that are not what their address says.
func (s *Store) found(a blob.Address, at blob.Position, err error) {
	if s.rot.add(a) {
		s.log.Warn("fragment has rotted: it is missing now", "fragment", at.String(), "address", a.String(), "err", err)
		s.wake()
	}
}

// foundWitness notes a slot whose witness cannot be read: its fragments are of no use without.
func (s *Store) foundWitness(sl slot) {
	if s.rot.addSlot(sl) {
		s.log.Warn("witness has rotted: its fragments are missing now", "blob", sl.blob.String(), "stripe", sl.stripe, "place", sl.place)
		s.wake()
	}
}

// clearRot removes the entries of what has rotted, so that it is missing also after
// a restart.
func (s *Store) clearRot(ctx context.Context) error {
	addresses, slots := s.rot.list()
	for _, a := range addresses {
		for more := true; more; {
			err := s.deletion(ctx, func(c *change) (err error) {
				more, err = s.clearAddress(c, a)
				return err
			})
			if err != nil {
				return fmt.Errorf("clear %s: %w", a, err)
			}
		}
	}
	for _, sl := range slots {
		if err := s.deletion(ctx, func(c *change) error { return s.clearSlot(c, sl) }); err != nil {
			return fmt.Errorf("clear stripe %d place %d of %s: %w", sl.stripe, sl.place, sl.blob, err)
		}
		s.rot.healedSlot(sl)
	}
	return nil
}

func (s *Store) clearAddress(c *change, a blob.Address) (more bool, err error) {
	if !s.rot.bytes(a) {
		return false, nil // written again meanwhile
	}
	held, more, err := positions(c.r, backsOf(a))
	if err != nil {
		return false, err
	}
	for _, at := range held {
		if err := c.release(at); err != nil {
			return false, err
		}
		s.rotten.Add(1)
	}
	if len(held) == 0 {
		c.emptied = append(c.emptied, a)
	}
	return more, nil
}

func (s *Store) clearSlot(c *change, sl slot) error {
	if _, err := readWitness(c.r, sl); err == nil {
		return nil // written again meanwhile
	}
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		e, err := c.entry(sl.at(axis))
		if err != nil {
			return err
		}
		if !e.held {
			continue
		}
		if err := c.release(sl.at(axis)); err != nil {
			return err
		}
		s.rotten.Add(1)
	}
	return nil
}

// dropStep is how many entries one transaction removes.
const dropStep = 500

// positions is the first entries under a prefix, either way round.
func positions(r kv.Reader, prefix []byte) (found []blob.Position, more bool, err error) {
	err = r.EachKey(prefix, func(k []byte) error {
		if len(found) == dropStep {
			more = true
			return errStop
		}
		at, ok := parseEntry(k)
		if !ok {
			return fmt.Errorf("entry under %x: %w", k, kv.ErrCorrupt)
		}
		found = append(found, at)
		return nil
	})
	if err == errStop {
		err = nil
	}
	return found, more, err
}
