package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
)

// reader reads records: the database, or a change of it in the making.
type reader interface {
	Get(key []byte) ([]byte, bool, error)
}

func read[T any](r reader, key []byte) (v T, ok bool, err error) {
	b, ok, err := r.Get(key)
	if err != nil || !ok {
		return v, false, err
	}
	return v, true, decode(b, &v)
}

// change is a set of changes of the index that is made as one. Reads see it.
type change struct {
	below reader
	set   map[string][]byte // nil: deleted
	quiet map[string]bool   // of set, what makes no snapshot necessary
	bytes int

	uploads map[string]int // by bucket, that the change begins, less those that it ends
}

func newChange(below reader) *change {
	return &change{below: below, set: map[string][]byte{}, quiet: map[string]bool{}, uploads: map[string]int{}}
}

// add makes another change, whose below is c, part of c.
func (c *change) add(one *change) {
	for k, v := range one.set {
		if _, before := c.set[k]; one.quiet[k] && (!before || c.quiet[k]) {
			c.quiet[k] = true
		} else {
			delete(c.quiet, k)
		}
		c.set[k] = v
	}
	c.bytes += one.bytes
	for bucket, n := range one.uploads {
		c.uploads[bucket] += n
	}
}

// hush says that no snapshot is needed because of what the change does with a key.
func (c *change) hush(key []byte) { c.quiet[string(key)] = true }

// marks says whether a snapshot is to have what the change does with a key.
func (c *change) marks(key string) bool {
	return !c.quiet[key] && slices.Contains(shown, key[:1])
}

// Get is the value of a key as the change leaves it.
func (c *change) Get(key []byte) ([]byte, bool, error) {
	if v, ok := c.set[string(key)]; ok {
		return v, v != nil, nil
	}
	return c.below.Get(key)
}

func (c *change) put(key []byte, v any) {
	b := canon.Encode(v)
	c.bytes += 2*len(key) + len(b) + 128 // with its mark
	c.set[string(key)] = b
	delete(c.quiet, string(key))
}

func (c *change) drop(key []byte) {
	c.bytes += 2*len(key) + 128
	c.set[string(key)] = nil
	delete(c.quiet, string(key))
}

// fits refuses a value that the database does not take: it would fail the changes of others
// too.
func (c *change) fits() error {
	for k, v := range c.set {
		if len(v) > kv.MaxSmallValue {
			return fmt.Errorf("index: the value of %q has %d bytes: %w", k, len(v), kv.ErrTooLarge)
		}
	}
	return nil
}

// any says whether there is a key that begins with prefix.
func (c *change) any(prefix []byte) (found bool, err error) {
	var base reader = c
	for {
		above, ok := base.(*change)
		if !ok {
			break
		}
		for k := range above.set {
			if bytes.HasPrefix([]byte(k), prefix) {
				if _, there, err := c.Get([]byte(k)); err != nil || there {
					return there, err
				}
			}
		}
		base = above.below
	}
	err = base.(*kv.DB).EachKey(prefix, func(k []byte) error {
		if _, there, err := c.Get(k); err != nil {
			return err
		} else if there {
			found = true
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return found, err
}

// use adds users to the blobs of extents.
func (c *change) use(extents []extent) error {
	for _, e := range extents {
		l, ok, err := read[lease](c, leaseKey(e.Blob))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("index: blob %s has no lease", e.Blob)
		}
		l.Users++
		c.put(leaseKey(e.Blob), l)
	}
	return nil
}

// release takes users from the blobs of extents. A blob without users is given back.
func (c *change) release(extents []extent) error {
	for _, e := range extents {
		l, ok, err := read[lease](c, leaseKey(e.Blob))
		if err != nil {
			return err
		}
		if !ok || l.Users == 0 {
			return fmt.Errorf("index: blob %s has no lease", e.Blob)
		}
		if l.Users--; l.Users > 0 {
			c.put(leaseKey(e.Blob), l)
			continue
		}
		c.drop(leaseKey(e.Blob))
		if l.Own {
			c.put(returnKey(e.Blob), intent{}) // the lease was the door's
		}
	}
	return nil
}

// change makes changes of the index that are on the disk when it returns, all or none. fn
// may be called from another goroutine. ctx ends the wait for a place in the queue only:
// what has begun is made.
func (x *index) change(ctx context.Context, fn func(*change) error) error {
	o := op{fn, make(chan error, 1)}
	select {
	case x.ops <- o:
	case <-x.gone:
		return kv.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-x.gone:
		select {
		case err := <-o.done:
			return err
		default:
			return kv.ErrClosed
		}
	}
}
