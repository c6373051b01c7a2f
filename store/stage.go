package store

import (
	"context"
	"fmt"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// StagedBlob is a blob whose bytes were taken before it was known to be promised.
type StagedBlob struct {
	ID    blob.ID
	Since time.Time
	Bytes int64 // received: fragments, witnesses, the manifest
}

// Stage records a manifest and that the blob is only staged, so that Put takes its
// fragments within StagedCapacity. A blob that is known already is left as it is.
func (s *Store) Stage(ctx context.Context, m blob.Manifest, now time.Time) error {
	return s.record(ctx, "stage", m, func(c *change, st *blobState, size uint64) error {
		if st.held {
			return nil
		}
		if c.totals.StagedBytes+size > s.stagedLimit() {
			return ErrStagedFull
		}
		st.rec.Since, st.rec.Bytes = stagedSince(now), size
		c.totals.Staged++
		c.totals.StagedBytes += size
		return s.enter(c, m, st, size)
	})
}

// Keep records that the blob is promised: a staged one leaves the corner, an unknown
// one is entered.
func (s *Store) Keep(ctx context.Context, m blob.Manifest) error {
	return s.record(ctx, "keep", m, func(c *change, st *blobState, size uint64) error {
		if !st.held {
			return s.enter(c, m, st, size)
		}
		if st.rec.staged() {
			c.totals.Staged--
			c.totals.StagedBytes -= st.rec.Bytes
			st.rec.Since, st.rec.Bytes, st.dirty = 0, 0, true
		}
		return nil
	})
}

func (s *Store) enter(c *change, m blob.Manifest, st *blobState, size uint64) error {
	if err := s.fits(c.totals, size); err != nil {
		return err
	}
	st.rec.Manifest, st.held, st.dirty = m, true, true
	c.totals.Blobs++
	c.totals.Proofs += size
	return nil
}

func (s *Store) record(ctx context.Context, what string, m blob.Manifest, fn func(*change, *blobState, uint64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id := m.ID()
	s.change.Lock()
	defer s.change.Unlock()
	err := s.update(s.db.Batch(), func(c *change) error {
		st, err := c.blob(id)
		if err != nil {
			return err
		}
		return fn(c, st, uint64(len(m.Encode())))
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, id, err)
	}
	return nil
}

// Staged is all blobs that are only staged, in the order of their IDs.
func (s *Store) Staged() (staged []StagedBlob, err error) {
	err = s.eachBlob(func(id blob.ID, rec blobRecord) error {
		if rec.staged() {
			staged = append(staged, StagedBlob{ID: id, Since: time.Unix(rec.Since, 0), Bytes: int64(rec.Bytes)})
		}
		return nil
	})
	return staged, err
}

// Blobs calls fn with every blob of which there is a manifest, in the order of their
// IDs, until fn returns an error. The store may change meanwhile, also by fn.
func (s *Store) Blobs(fn func(id blob.ID, m blob.Manifest, staged bool) error) error {
	return s.eachBlob(func(id blob.ID, rec blobRecord) error { return fn(id, rec.Manifest, rec.staged()) })
}

func (s *Store) eachBlob(fn func(blob.ID, blobRecord) error) error {
	return s.db.Each([]byte{tagBlob}, func(k, v []byte) error {
		a, ok := parseAddress(k)
		if !ok {
			return fmt.Errorf("blob record under %x", k)
		}
		rec, err := parseBlob(v)
		if err != nil {
			return fmt.Errorf("%s: %w", blob.ID(a), err)
		}
		return fn(blob.ID(a), rec)
	})
}
