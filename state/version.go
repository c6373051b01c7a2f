package state

import (
	"bytes"
	"errors"
	"sort"
	"strings"
)

// version is the state at one height.
type version struct {
	of     *State
	height uint64
}

func (v version) Get(key []byte) ([]byte, bool, error) {
	v.of.mu.RLock()
	defer v.of.mu.RUnlock()
	if err := v.of.has(v.height); err != nil {
		return nil, false, err
	}
	return v.of.get(v.height, key)
}

// Each collects a page at a time under the lock and calls fn outside it, so that a
// slow fn holds up no commit. A prefix with more than a page of keys is walked by
// its next byte.
func (v version) Each(prefix []byte, fn func(key, value []byte) error) error {
	found, err := v.collect(prefix)
	if errors.Is(err, errFull) {
		value, ok, err := v.Get(prefix)
		if err != nil {
			return err
		}
		if ok {
			if err := fn(bytes.Clone(prefix), value); err != nil {
				return err
			}
		}
		for b := 0; b < 256; b++ {
			if err := v.Each(append(bytes.Clone(prefix), byte(b)), fn); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range found {
		if err := fn(c.Key, c.Value); err != nil {
			return err
		}
	}
	return nil
}

func (v version) collect(prefix []byte) ([]Change, error) {
	v.of.mu.RLock()
	defer v.of.mu.RUnlock()
	if err := v.of.has(v.height); err != nil {
		return nil, err
	}
	// A key of the disk is shown with its letter off; the oldest delta that knows a
	// key has the last word on it, so it is laid on top.
	walk := func(prefix []byte, fn func(k, v []byte) error) error {
		return v.of.kv.Each(valueKey(prefix), func(k, v []byte) error {
			return fn(bytes.Clone(k[1:]), bytes.Clone(v))
		})
	}
	for _, d := range v.of.since(v.height) {
		below, changes := walk, d.within(prefix)
		walk = func(prefix []byte, fn func(k, v []byte) error) error { return merge(below, changes, prefix, fn) }
	}
	var out []Change
	err := walk(prefix, func(k, v []byte) error {
		if len(out) == page && len(prefix) < maxKey {
			return errFull
		}
		out = append(out, Change{Key: k, Value: v})
		return nil
	})
	return out, err
}

func (d *delta) within(prefix []byte) []Change {
	from := sort.Search(len(d.prior), func(i int) bool { return bytes.Compare(d.prior[i].Key, prefix) >= 0 })
	to := from
	for to < len(d.prior) && strings.HasPrefix(string(d.prior[to].Key), string(prefix)) {
		to++
	}
	return d.prior[from:to]
}
