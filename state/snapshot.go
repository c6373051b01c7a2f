package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// snapshotChunk is about how many bytes of keys and values a chunk holds.
const snapshotChunk = 1 << 20

// maxSnapshotChunk bounds a chunk from a stranger: a full one, and one value more.
const maxSnapshotChunk = snapshotChunk + maxValue + maxKey + 1024

// ErrSnapshot is returned for chunks that do not make the state they should.
var ErrSnapshot = errors.New("snapshot does not make the state it names")

// Snapshot hands the whole state at a height to fn, in chunks: keys in order, each
// chunk cut as soon as it is full, so that every honest node cuts the same.
func (s *State) Snapshot(height unit.Height, fn func(chunk []byte) error) error {
	release, err := s.Hold(height)
	if err != nil {
		return err
	}
	defer release()
	at, err := s.At(height)
	if err != nil {
		return err
	}
	var chunk []Change
	size := 0
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		b := canon.Encode(chunk)
		chunk, size = nil, 0
		return fn(b)
	}
	err = at.Each(nil, func(k, v []byte) error {
		chunk = append(chunk, Change{Key: k, Value: v})
		if size += len(k) + len(v); size >= snapshotChunk {
			return flush()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("snapshot of height %d: %w", height, err)
	}
	return flush()
}

// Restore makes an empty kv the state at height whose root is known, from chunks
// that next yields in order, nil after the last. When it fails, kv holds rubbish
// that Open takes for empty or refuses: wipe it.
func Restore(kv KV, salt [32]byte, buckets int, height unit.Height, root blob.Hash, next func() ([]byte, error)) error {
	if err := CheckBuckets(buckets); err != nil {
		return err
	}
	s := &State{kv: kv, salt: salt, tree: newTree(buckets)}
	if err := kv.Each(nil, func([]byte, []byte) error { return errFull }); err != nil {
		if errors.Is(err, errFull) {
			return fmt.Errorf("restore: the ledger directory is not empty: %w", ErrSnapshot)
		}
		return err
	}
	var last []byte
	for {
		raw, err := next()
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		if raw == nil {
			break
		}
		if last, err = s.restoreChunk(raw, last); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	s.tree.fill()
	if s.tree.root() != root {
		return fmt.Errorf("restore height %d: root %s, want %s: %w", height, s.tree.root(), root, ErrSnapshot)
	}
	w := writer{kv: kv}
	w.put(Change{Key: []byte{letterMarker}, Value: canon.Encode(marker{Height: height, Root: root, Salt: salt, Buckets: uint32(buckets)})})
	return w.flush(true)
}

func (s *State) restoreChunk(raw, last []byte) ([]byte, error) {
	if len(raw) > maxSnapshotChunk {
		return nil, fmt.Errorf("chunk of %d bytes: %w", len(raw), ErrSnapshot)
	}
	var chunk []Change
	if err := canon.Decode(raw, &chunk); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	w := writer{kv: s.kv}
	for _, c := range chunk {
		if c.Delete || len(c.Key) == 0 || len(c.Key) > maxKey || len(c.Value) > maxValue || bytes.Compare(c.Key, last) <= 0 {
			return nil, fmt.Errorf("a key of %d bytes, value of %d, is out of order or too long: %w", len(c.Key), len(c.Value), ErrSnapshot)
		}
		last = c.Key
		w.put(Change{Key: valueKey(c.Key), Value: c.Value})
	}
	leaves, pages, err := s.rebuild(s.tree.get, s.page, chunk, s.hashed(chunk))
	if err != nil {
		return nil, err
	}
	s.tree.apply(leaves)
	for _, p := range pages {
		w.put(p.change())
	}
	return last, w.flush(false)
}
