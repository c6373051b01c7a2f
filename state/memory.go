package state

import (
	"bytes"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Memory is a KV that forgets when the process ends: for a local ledger, and for
// clients that check proofs over a handful of keys.
type Memory struct {
	mu     sync.RWMutex // guards the fields below
	keys   []string     // sorted
	values map[string][]byte
}

// NewMemory is an empty Memory.
func NewMemory() *Memory { return &Memory{values: map[string][]byte{}} }

// Get returns a copy of the value.
func (m *Memory) Get(key []byte) ([]byte, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.values[string(key)]
	return bytes.Clone(v), ok, nil
}

// Each sees the changes that are made while it walks, ahead of where it is.
func (m *Memory) Each(prefix []byte, fn func(key, value []byte) error) error {
	return m.EachAfter(prefix, nil, fn)
}

// EachAfter is Each from the first key above after on.
func (m *Memory) EachAfter(prefix, after []byte, fn func(key, value []byte) error) error {
	from := string(prefix)
	if string(after) >= from {
		from = string(after) + "\x00"
	}
	for {
		k, v, ok := m.next(from)
		if !ok || !strings.HasPrefix(k, string(prefix)) {
			return nil
		}
		if err := fn([]byte(k), bytes.Clone(v)); err != nil {
			return err
		}
		from = k + "\x00"
	}
}

// remove takes keys off, which are sorted; one that is not there does not matter.
func (m *Memory) remove(keys []string) {
	to, from := 0, 0
	for _, k := range keys {
		at, ok := slices.BinarySearch(m.keys[from:], k)
		if at += from; !ok {
			continue
		}
		if to < from {
			copy(m.keys[to:], m.keys[from:at])
		}
		to, from = to+at-from, at+1
	}
	m.keys = append(m.keys[:to], m.keys[from:]...)
}

// next is the first key from one on.
func (m *Memory) next(from string) (key string, value []byte, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := sort.SearchStrings(m.keys, from)
	if i == len(m.keys) {
		return "", nil, false
	}
	return m.keys[i], m.values[m.keys[i]], true
}

// Batch begins an empty batch.
func (m *Memory) Batch() Batch { return &memoryBatch{of: m} }

type memoryBatch struct {
	of      *Memory
	changes []Change
}

func (b *memoryBatch) Set(key, value []byte) {
	b.changes = append(b.changes, Change{Key: bytes.Clone(key), Value: bytes.Clone(value)})
}

func (b *memoryBatch) Delete(key []byte) {
	b.changes = append(b.changes, Change{Key: bytes.Clone(key), Delete: true})
}

func (b *memoryBatch) Commit(bool) error {
	m := b.of
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := map[string]bool{} // or not any more
	var added []string
	for _, c := range b.changes {
		k := string(c.Key)
		_, there := m.values[k]
		switch {
		case c.Delete && there:
			delete(m.values, k)
			gone[k] = true
		case !c.Delete:
			m.values[k] = c.Value
			if !there && !gone[k] {
				added = append(added, k)
			}
		}
	}
	m.reorder(added, gone)
	return nil
}

// reorder brings keys to what values has. It moves all keys once, however many changed.
func (m *Memory) reorder(added []string, gone map[string]bool) {
	lost := func(k string) bool { _, ok := m.values[k]; return !ok }
	if added = slices.DeleteFunc(added, lost); len(gone) > 0 {
		m.remove(slices.DeleteFunc(slices.Sorted(maps.Keys(gone)), func(k string) bool { return !lost(k) }))
	}
	slices.Sort(added)
	n, i := len(m.keys), len(m.keys)+len(added)
	m.keys = append(m.keys, added...)
	for len(added) > 0 { // from the end, to where it belongs
		last := added[len(added)-1]
		at := sort.SearchStrings(m.keys[:n], last)
		i -= n - at
		copy(m.keys[i:], m.keys[at:n])
		i--
		m.keys[i], added, n = last, added[:len(added)-1], at
	}
}
