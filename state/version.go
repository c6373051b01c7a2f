package state

import (
	"bytes"
	"errors"
	"sort"
	"strings"

	"github.com/walrus-network/walrus/unit"
)

// version is the state at one height.
type version struct {
	of     *State
	height unit.Height
}

func (v version) Get(key []byte) ([]byte, bool, error) {
	v.of.mu.RLock()
	defer v.of.mu.RUnlock()
	if err := v.of.has(v.height); err != nil {
		return nil, false, err
	}
	return v.of.get(v.height, key)
}

// page is how many keys a walk collects at most before it calls out. It begins with
// few, since many walks end after a few.
const (
	firstPage = 64
	page      = 4096
)

// Each calls fn with every key, in order.
func (v version) Each(prefix []byte, fn func(key, value []byte) error) error {
	return v.EachAfter(prefix, nil, fn)
}

// EachAfter collects some keys at a time under the lock and calls fn outside it, so
// that a slow fn holds up no commit.
func (v version) EachAfter(prefix, after []byte, fn func(key, value []byte) error) error {
	for most := firstPage; ; most = min(2*most, page) {
		found, err := v.collect(prefix, after, most)
		if err != nil && !errors.Is(err, errFull) {
			return err
		}
		for _, c := range found {
			if err := fn(c.Key, c.Value); err != nil {
				return err
			}
		}
		if err == nil {
			return nil
		}
		after = found[len(found)-1].Key
	}
}

// collect is the first keys above after, and errFull where there are more.
func (v version) collect(prefix, after []byte, most int) ([]Change, error) {
	v.of.mu.RLock()
	defer v.of.mu.RUnlock()
	if err := v.of.has(v.height); err != nil {
		return nil, err
	}
	// A key of the disk is shown with its letter off; the oldest delta that knows a
	// key has the last word on it, so it is laid on top.
	walk := func(fn func(k, v []byte) error) error {
		return v.of.kv.EachAfter(valueKey(prefix), valueKey(after), func(k, v []byte) error {
			return fn(bytes.Clone(k[1:]), bytes.Clone(v))
		})
	}
	for _, d := range v.of.since(v.height) {
		below, changes := walk, d.within(prefix, after)
		if len(changes) > 0 {
			walk = func(fn func(k, v []byte) error) error { return merge(below, changes, fn) }
		}
	}
	var out []Change
	err := walk(func(k, v []byte) error {
		if len(out) == most {
			return errFull
		}
		out = append(out, Change{Key: k, Value: v})
		return nil
	})
	return out, err
}

// within is what the delta knows of the keys above after that begin with prefix.
func (d *delta) within(prefix, after []byte) []Change {
	from := sort.Search(len(d.prior), func(i int) bool {
		k := d.prior[i].Key
		return bytes.Compare(k, prefix) >= 0 && bytes.Compare(k, after) > 0
	})
	to := from
	for to < len(d.prior) && strings.HasPrefix(string(d.prior[to].Key), string(prefix)) {
		to++
	}
	return d.prior[from:to]
}
