package state

import (
	"bytes"
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
	for from := string(prefix); ; {
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
	for _, c := range b.changes {
		k := string(c.Key)
		i := sort.SearchStrings(m.keys, k)
		_, there := m.values[k]
		switch {
		case c.Delete && there:
			m.keys = append(m.keys[:i], m.keys[i+1:]...)
			delete(m.values, k)
		case !c.Delete:
			if !there {
				m.keys = append(m.keys, "")
				copy(m.keys[i+1:], m.keys[i:])
				m.keys[i] = k
			}
			m.values[k] = c.Value
		}
	}
	return nil
}
