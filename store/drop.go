package store

import (
	"context"
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// Drop removes all of a blob: its fragments, witnesses and its manifest. A large blob
// takes several transactions; the manifest goes with the last, so a Drop that was cut
// off can be seen and is finished by another. Dropping what is unknown is no error.
// It waits while a collection rewrites logs.
func (s *Store) Drop(ctx context.Context, id blob.ID) error {
	if err := s.drop(ctx, entriesOf(id), func(c *change) error { return c.forget(id) }); err != nil {
		return fmt.Errorf("drop %s: %w", id, err)
	}
	return nil
}

// DropPlace removes the fragments and witnesses of one place of a blob. The manifest
// stays, also when it was the last place.
func (s *Store) DropPlace(ctx context.Context, id blob.ID, p blob.Place) error {
	if err := s.drop(ctx, entriesAt(id, p), func(*change) error { return nil }); err != nil {
		return fmt.Errorf("drop place %d of %s: %w", p, id, err)
	}
	return nil
}

func (s *Store) drop(ctx context.Context, prefix []byte, last func(*change) error) error {
	for more := true; more; {
		err := s.deletion(ctx, func(c *change) error {
			held, rest, err := positions(c.r, prefix)
			if err != nil {
				return err
			}
			for _, at := range held {
				if err := c.release(at); err != nil {
					return err
				}
			}
			if more = rest; !more {
				return last(c)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deletion is update for changes that delete: it waits for collections first, so
// that puts need not wait for it.
func (s *Store) deletion(ctx context.Context, fn func(c *change) error) error {
	b, err := s.db.Deletes(ctx)
	if err != nil {
		return err
	}
	s.change.Lock()
	defer s.change.Unlock()
	return s.update(b, fn)
}
