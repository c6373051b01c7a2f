package state

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// Update is a change set that was worked out and not yet written.
type Update struct {
	record logRecord
	on     blob.Hash   // the root it was worked out on
	at     []blob.Hash // the hash of the key of each change
	pages  []pageChange
	nodes  nodes
}

// bucketUpdate is a bucket as a change set leaves it.
type bucketUpdate struct {
	number  uint32
	changes []leafChange // that fall into it, in the order of key
	hash    blob.Hash
	pages   []pageChange
}

// Root is the root the state will have.
func (u *Update) Root() blob.Hash { return u.record.Root }

// Changes are the changes, in key order, without those that change nothing.
func (u *Update) Changes() []Change { return u.record.Changes }

// Prepare works out what a change set makes of the state, and writes nothing. The
// height is the one after the last, or any for the first commit.
func (s *State) Prepare(height unit.Height, changes []Change) (*Update, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.broken != nil {
		return nil, s.broken
	}
	if !s.empty && height != s.height+1 {
		return nil, fmt.Errorf("commit of height %d on %d: %w", height, s.height, ErrHeight)
	}
	changes = append([]Change(nil), changes...)
	sortChanges(changes)
	if err := checkChanges(changes); err != nil {
		return nil, err
	}
	u := &Update{on: s.tree.root()}
	u.record = logRecord{Height: height, Salt: s.salt, Buckets: uint32(s.tree.buckets())}
	if err := s.compare(u, changes); err != nil {
		return nil, err
	}
	leaves, pages, err := s.rebuild(s.tree.get, s.page, u.record.Changes, u.at)
	if err != nil {
		return nil, err
	}
	u.nodes, u.pages = climb(s.tree.get, leaves), pages
	for _, p := range pages {
		if !p.alone() {
			u.record.Pages = append(u.record.Pages, p.change())
		}
	}
	u.record.Root = u.on
	if len(u.nodes.at) > 0 {
		u.record.Root = u.nodes.hash[0]
	}
	return u, nil
}

func checkChanges(changes []Change) error {
	for i, c := range changes {
		if len(c.Key) == 0 || len(c.Key) > maxKey || len(c.Value) > maxValue || c.Delete && len(c.Value) > 0 {
			return fmt.Errorf("key of %d bytes, value of %d: %w", len(c.Key), len(c.Value), ErrChange)
		}
		if i > 0 && bytes.Equal(c.Key, changes[i-1].Key) {
			return fmt.Errorf("key %x twice: %w", c.Key, ErrChange)
		}
	}
	return nil
}

// compare notes what was there before, and leaves out what changes nothing.
func (s *State) compare(u *Update, changes []Change) error {
	prior, at := make([]Change, len(changes)), make([]blob.Hash, len(changes))
	err := parallel(len(changes), func(i int) error {
		key := changes[i].Key
		was, ok, err := s.present(key)
		if err != nil {
			return fmt.Errorf("read %x: %w", key, err)
		}
		prior[i] = Change{Key: key, Value: was, Delete: !ok}
		at[i] = hashKey(s.salt, key)
		return nil
	})
	if err != nil {
		return err
	}
	for i, c := range changes {
		if prior[i].Delete == c.Delete && bytes.Equal(prior[i].Value, c.Value) {
			continue
		}
		u.record.Changes = append(u.record.Changes, c)
		u.record.Prior = append(u.record.Prior, prior[i])
		u.at = append(u.at, at[i])
	}
	return nil
}

// rebuild works out what changes make of a version: the roots of the buckets that they
// fall into, as leaves of the tree, and the pages that become others. at is the hash of
// the key of each change; get and read show the version.
func (s *State) rebuild(get func(uint32) blob.Hash, read pages, changes []Change, at []blob.Hash) (nodes, []pageChange, error) {
	touched := s.sortOut(changes, at)
	err := parallel(len(touched), func(k int) error {
		b, e := &touched[k], newEdit(read)
		root, err := e.apply(placeOf(int(b.number)), get(uint32(s.tree.buckets())+b.number), b.changes)
		b.hash, b.pages = root.hash, e.changed()
		return err
	})
	if err != nil {
		return nodes{}, nil, err
	}
	var leaves nodes
	var pages []pageChange
	for _, b := range touched {
		leaves.add(uint32(s.tree.buckets())+b.number, b.hash)
		pages = append(pages, b.pages...)
	}
	return leaves, pages, nil
}

// sortOut is the buckets that changes fall into, in the order of their numbers.
func (s *State) sortOut(changes []Change, at []blob.Hash) []bucketUpdate {
	place := map[uint32]int{}
	var out []bucketUpdate
	for i, key := range at {
		b := uint32(bucketOf(key, s.tree.buckets()))
		k, ok := place[b]
		if !ok {
			k = len(out)
			place[b] = k
			out = append(out, bucketUpdate{number: b})
		}
		out[k].changes = append(out[k].changes, changeOf(key, changes[i]))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].number < out[j].number })
	for _, b := range out {
		sort.Slice(b.changes, func(i, j int) bool { return string(b.changes[i].key[:]) < string(b.changes[j].key[:]) })
	}
	return out
}

// parallel calls fn for 0..n-1 on as many processors as there are, and returns one
// of the errors. What fn makes must not depend on the order.
func parallel(n int, fn func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), 8, (n+63)/64)
	errs := make([]error, workers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = fn(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
