package s3

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/walrus-network/walrus/internal/secretfile"
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

const (
	lookKeys = 2 * time.Second // between looks at the file of keys
	tellKeys = time.Minute     // between complaints about the same mistake in it
)

// watchedKeys is a file of keys that is read again and again.
type watchedKeys struct {
	path string
	seen []byte // that was good
	told string // mistake of the last complaint; empty: the file was good
	at   time.Time
}

// look reads the file. changed says that it is good and was not seen before. A mistake is
// returned when it is new, and once in a while for as long as it is there.
func (f *watchedKeys) look(now time.Time) (keys []Key, changed bool, mistake error) {
	b, err := secretfile.Read(f.path, maxKeysFile, false)
	if err == nil {
		if f.seen != nil && bytes.Equal(b, f.seen) {
			f.told = ""
			return nil, false, nil
		}
		keys, err = ParseKeys(b)
	}
	if err == nil {
		f.seen, f.told = b, ""
		return keys, true, nil
	}
	if err.Error() == f.told && now.Sub(f.at) < tellKeys {
		return nil, false, nil
	}
	f.told, f.at = err.Error(), now
	return nil, false, fmt.Errorf("%s: %w", f.path, err)
}

// watchKeys takes the keys of the file whenever it changes. While the file has a mistake, or
// is gone, the keys stay as they were.
func (s *Server) watchKeys(ctx context.Context, f *watchedKeys) {
	tick := time.NewTicker(lookKeys)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.readKeys(f, now)
		}
	}
}

func (s *Server) readKeys(f *watchedKeys, now time.Time) {
	keys, changed, err := f.look(now)
	switch {
	case err != nil:
		s.log.Error("THE FILE OF ACCESS KEYS HAS A MISTAKE: the keys that were read before go on to be good, those taken out of the file too", "err", err)
	case changed && !s.keys.isLike(keys):
		added, removed := s.keys.set(keys)
		s.log.Info("access keys were read anew", "file", f.path, "keys", len(keys), "new", added, "gone", removed)
	}
}
