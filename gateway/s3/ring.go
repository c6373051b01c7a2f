package s3

import (
	"reflect"
	"slices"
	"sync"
)

// ring is the keys that a door knows. They change while it runs.
type ring struct {
	mu   sync.RWMutex
	keys map[string]*Key // guarded by mu; by access key; what it points to does not change
}

func newRing(keys []Key) *ring {
	r := &ring{}
	r.set(keys)
	return r
}

// set replaces the keys, and names those that are new and those that are gone.
func (r *ring) set(keys []Key) (added, removed []string) {
	m := make(map[string]*Key, len(keys))
	for _, k := range keys {
		m[k.Access] = &k
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range m {
		if r.keys[name] == nil {
			added = append(added, name)
		}
	}
	for name := range r.keys {
		if m[name] == nil {
			removed = append(removed, name)
		}
	}
	r.keys = m
	slices.Sort(added)
	slices.Sort(removed)
	return added, removed
}

// find is the key of that name; nil: there is none.
func (r *ring) find(access string) *Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[access]
}

// isLike says whether the keys are those of a list.
func (r *ring) isLike(keys []Key) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(keys) != len(r.keys) {
		return false
	}
	for _, k := range keys {
		if old := r.keys[k.Access]; old == nil || !reflect.DeepEqual(*old, k) {
			return false
		}
	}
	return true
}

// isKept says whether a bucket's name is kept for another owner than owner: a line of the
// file names it. * keeps nothing.
func (r *ring) isKept(bucket, owner string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.keys {
		if k.Owner != owner && slices.ContainsFunc(k.Buckets, func(name string) bool { return name != "*" && matchesName(name, bucket) }) {
			return true
		}
	}
	return false
}

// SetKeys replaces the keys. Requests that run go on with those that they began with.
func (s *Server) SetKeys(keys []Key) {
	if s.keys.isLike(keys) {
		return
	}
	added, removed := s.keys.set(keys)
	s.log.Info("access keys were read anew", "keys", len(keys), "new", added, "gone", removed)
}
