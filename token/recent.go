package token

import "sync"

// recent keeps what was worked out lately, in two generations: where the newer one is full the
// older one is dropped. It only saves work: what is forgotten is worked out again. All methods
// may be called at the same time.
type recent[K comparable, V any] struct {
	each int // entries of a generation

	mu       sync.Mutex // guards the fields below
	now, old map[K]V
}

func (r *recent[K, V]) get(k K) (v V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok = r.now[k]; !ok {
		v, ok = r.old[k]
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || len(r.now) >= r.each {
		r.old, r.now = r.now, make(map[K]V)
	}
	r.now[k] = v
}
