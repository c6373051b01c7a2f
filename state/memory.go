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

// Each walks over what was there when it began.
func (m *Memory) Each(prefix []byte, fn func(key, value []byte) error) error {
	m.mu.RLock()
	i := sort.SearchStrings(m.keys, string(prefix))
	m.mu.RUnlock()
	for last := ""; ; i++ {
		m.mu.RLock()
		if last != "" { // the list may have moved since
			i = sort.SearchStrings(m.keys, last)
			if i < len(m.keys) && m.keys[i] == last {
				i++
			}
		}
		if i >= len(m.keys) || !strings.HasPrefix(m.keys[i], string(prefix)) {
			m.mu.RUnlock()
			return nil
		}
		last = m.keys[i]
		v := m.values[last]
		m.mu.RUnlock()
		if err := fn([]byte(last), bytes.Clone(v)); err != nil {
			return err
		}
	}
}

// Batch begins an empty batch.
func (m *Memory) Batch() Batch { return &memoryBatch{of: m} }

type memoryBatch struct {
	of      *Memory
	changes []Change
}

func (b *memoryBatch) Set(key, value []byte) error {
	b.changes = append(b.changes, Change{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	return nil
}

func (b *memoryBatch) Delete(key []byte) error {
	b.changes = append(b.changes, Change{Key: bytes.Clone(key), Delete: true})
	return nil
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
