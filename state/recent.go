package state

import (
	"bytes"
	"sync"
)

// recentBytes bounds each of the two generations of what is remembered.
const recentBytes = 8 << 20

// valueCache remembers values of the present version: a transaction's accounts are read
// when it enters the mempool, again in its block, and again to commit it.
//
// Invariant: what it holds is what the disk holds, but for the keys of a commit under
// way, which every reader finds in the newest delta first.
type valueCache struct {
	mu       sync.Mutex // guards the fields below
	now, old map[string]cachedValue
	bytes    int
}

type cachedValue struct {
	value []byte
	ok    bool
}

func newRecent() *valueCache { return &valueCache{now: map[string]cachedValue{}} }

func (r *valueCache) get(key []byte) (value []byte, ok, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, known := r.now[string(key)]
	if !known {
		m, known = r.old[string(key)]
	}
	return bytes.Clone(m.value), m.ok, known
}

func (r *valueCache) put(key, value []byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	const overhead = 64
	if r.bytes += len(key) + len(value) + overhead; r.bytes > recentBytes {
		r.old, r.now, r.bytes = r.now, map[string]cachedValue{}, 0
	}
	r.now[string(key)] = cachedValue{bytes.Clone(value), ok}
}
