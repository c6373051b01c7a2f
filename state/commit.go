package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// MaxKey bounds the bytes of a key.
const MaxKey = 1 << 10

// Limits of a change, and of one write to the disk.
const (
	maxKey     = MaxKey
	maxValue   = 1 << 20
	logPart    = 256 << 10 // bytes of the log in one value
	batchBytes = 256 << 10
	batchKeys  = 1000
)

// ErrChange is returned for a change that the state cannot hold.
var ErrChange = errors.New("change refused")

// logRecord is one commit as it is logged: what it sets, to finish it after a
// crash, and what was there before, to read the version before it.
type logRecord struct {
	_       struct{} `cbor:",toarray"`
	Height  unit.Height
	Root    blob.Hash
	Salt    [32]byte
	Buckets uint32
	Changes []Change
	Prior   []Change // same keys, same order
	Pages   []Change // of buckets with more than one, by their keys on the disk: half of them would mean nothing
}

// logHead is written after the parts of a record.
type logHead struct {
	_     struct{} `cbor:",toarray"`
	Parts uint32
	Hash  blob.Hash // of the record's bytes
}

// Commit writes an update. The synced head of its log is the commit point: before
// it nothing has happened, after it opening again finishes what is missing.
func (s *State) Commit(u *Update) error {
	s.mu.RLock()
	ok := s.broken == nil && u.on == s.tree.root() && (s.empty || u.record.Height == s.height+1)
	s.mu.RUnlock()
	if !ok {
		return fmt.Errorf("commit height %d: not worked out on this state: %w", u.record.Height, ErrHeight)
	}
	if err := s.commit(u); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.broken = fmt.Errorf("commit height %d: %w", u.record.Height, err)
		return s.broken
	}
	return nil
}

func (s *State) commit(u *Update) error {
	if err := s.writeLog(u.record); err != nil {
		return err
	}
	// From here on readers of the present version find what is being overwritten in
	// the delta, so that writing needs no lock.
	s.mu.Lock()
	pages := map[place][]byte{}
	for _, p := range u.pages {
		pages[p.at] = p.old
	}
	d := newDelta(u.record.Height, u.record.Prior, u.nodes.before(s.tree.get), pages)
	if !s.empty {
		s.deltas = append([]*delta{d}, s.deltas...)
	}
	s.mu.Unlock()
	var changed []Change
	for _, p := range u.pages {
		changed = append(changed, p.change())
	}
	if err := s.writeKeys(u.record, changed); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree.apply(u.nodes)
	for _, c := range u.record.Changes {
		s.recent.put(c.Key, c.Value, !c.Delete)
	}
	s.height, s.empty = u.record.Height, false
	s.forget()
	return nil
}

// writeKeys brings values and pages to what the record says, drops the log that is
// too old, and moves the marker last. Doing it twice does it once.
func (s *State) writeKeys(r logRecord, pages []Change) error {
	w := writer{kv: s.kv}
	for _, c := range r.Changes {
		w.put(Change{Key: valueKey(c.Key), Value: c.Value, Delete: c.Delete})
	}
	for _, p := range pages {
		w.put(p)
	}
	if r.Height >= kept {
		err := s.kv.Each(logKey(r.Height-kept), func(k, _ []byte) error {
			w.put(Change{Key: bytes.Clone(k), Delete: true})
			return nil
		})
		if err != nil {
			return err
		}
	}
	w.put(Change{Key: []byte{letterMarker}, Value: canon.Encode(marker{Height: r.Height, Root: r.Root, Salt: r.Salt, Buckets: r.Buckets})})
	return w.flush(false)
}

// redo finishes the last logged commit, if there is one, and returns the marker.
// It also repeats a commit whose marker was written: that costs little, and asks
// the disk for no order between what was not synced.
func (s *State) redo() (marker, bool, error) {
	var m marker
	raw, ok, err := s.kv.Get([]byte{letterMarker})
	if err != nil {
		return m, false, err
	}
	next := unit.Height(0)
	if ok {
		if err := canon.Decode(raw, &m); err != nil {
			return m, false, fmt.Errorf("marker: %w: %w", err, ErrCorrupt)
		}
		next = m.Height + 1
	}
	rec, found, err := s.readLog(next)
	if err == nil && !found && ok {
		rec, found, err = s.readLog(m.Height)
	}
	if err == nil && !found && !ok {
		rec, found, err = s.firstLog()
	}
	if err != nil || !found {
		return m, ok, err
	}
	if rec.Salt != s.salt || rec.Buckets != uint32(s.tree.buckets()) {
		return marker{Salt: rec.Salt, Buckets: rec.Buckets}, true, nil // Open says it
	}
	pages, err := s.pagesOf(rec)
	if err != nil {
		return m, false, err
	}
	if err := s.writeKeys(rec, pages); err != nil {
		return m, false, err
	}
	return marker{Height: rec.Height, Root: rec.Root, Salt: rec.Salt, Buckets: rec.Buckets}, true, nil
}

// pagesOf is the pages that a logged commit writes. That of a bucket which is one page is
// worked out again: it is there as it was or as it is to be, and comes to the same.
func (s *State) pagesOf(r logRecord) ([]Change, error) {
	logged := map[place]bool{}
	for _, c := range r.Pages {
		logged[place(c.Key)] = true
	}
	out := slices.Clone(r.Pages)
	for _, b := range s.sortOut(r.Changes, s.hashed(r.Changes)) {
		at := placeOf(int(b.number))
		if logged[at] {
			continue
		}
		raw, err := s.page(at)
		if err != nil {
			return nil, err
		}
		var p content
		if raw != nil {
			if p, err = decodePage(raw); err != nil {
				return nil, err
			}
		}
		p.leaves = mergeLeaves(p.leaves, b.changes)
		if len(p.children) > 0 || len(p.leaves) > pageLeaves {
			return nil, fmt.Errorf("log of height %d lacks pages of bucket %d: %w", r.Height, b.number, ErrCorrupt)
		}
		c := pageChange{at: at}
		if len(p.leaves) > 0 {
			c.now = p.encode()
		}
		out = append(out, c.change())
	}
	return out, nil
}

// firstLog finds a first commit, of whatever height, that was cut off before its marker.
func (s *State) firstLog() (logRecord, bool, error) {
	var at []unit.Height
	err := s.kv.Each([]byte{letterLog}, func(k, _ []byte) error {
		if len(k) == 13 && binary.BigEndian.Uint32(k[9:]) == headPart {
			at = append(at, unit.Height(binary.BigEndian.Uint64(k[1:9])))
		}
		return nil
	})
	if err != nil || len(at) == 0 {
		return logRecord{}, false, err
	}
	return s.readLog(at[len(at)-1])
}

// headPart is the part number of the head: after all others.
const headPart = 1<<32 - 1

func logKey(height unit.Height) []byte {
	return binary.BigEndian.AppendUint64([]byte{letterLog}, uint64(height))
}

func logPartKey(height unit.Height, part uint32) []byte {
	return binary.BigEndian.AppendUint32(logKey(height), part)
}

func (s *State) writeLog(r logRecord) error {
	raw := canon.Encode(r)
	head := logHead{Hash: blob.Leaf(raw)}
	w := writer{kv: s.kv}
	for rest := raw; len(rest) > 0; head.Parts++ {
		n := min(len(rest), logPart)
		w.put(Change{Key: logPartKey(r.Height, head.Parts), Value: rest[:n]})
		rest = rest[n:]
	}
	w.put(Change{Key: logPartKey(r.Height, headPart), Value: canon.Encode(head)})
	return w.flush(true)
}

func (s *State) readLog(height unit.Height) (r logRecord, ok bool, err error) {
	raw, ok, err := s.kv.Get(logPartKey(height, headPart))
	if err != nil || !ok {
		return r, false, err
	}
	var head logHead
	if err := canon.Decode(raw, &head); err != nil {
		return r, false, fmt.Errorf("log of height %d: %w: %w", height, err, ErrCorrupt)
	}
	var all []byte
	for p := range head.Parts {
		part, _, err := s.kv.Get(logPartKey(height, p))
		if err != nil {
			return r, false, err
		}
		all = append(all, part...)
	}
	if blob.Leaf(all) != head.Hash {
		return r, false, fmt.Errorf("log of height %d: %w", height, ErrCorrupt)
	}
	if err := canon.Decode(all, &r); err != nil {
		return r, false, fmt.Errorf("log of height %d: %w: %w", height, err, ErrCorrupt)
	}
	return r, true, nil
}

// writer cuts many changes into batches a disk takes, in order.
type writer struct {
	kv    KV
	batch Batch
	bytes int
	keys  int
	err   error
}

func (w *writer) put(c Change) {
	if w.err != nil {
		return
	}
	if w.batch == nil {
		w.batch = w.kv.Batch()
	}
	if c.Delete {
		w.batch.Delete(c.Key)
	} else {
		w.batch.Set(c.Key, c.Value)
	}
	w.keys++
	w.bytes += len(c.Key) + len(c.Value)
	if w.bytes >= batchBytes || w.keys >= batchKeys {
		w.err = w.commit(false)
	}
}

func (w *writer) commit(sync bool) error {
	b := w.batch
	w.batch, w.bytes, w.keys = nil, 0, 0
	return b.Commit(sync)
}

// flush writes what is left. With sync, everything that was put is durable.
func (w *writer) flush(sync bool) error {
	if w.err != nil || w.batch == nil {
		return w.err
	}
	return w.commit(sync)
}
