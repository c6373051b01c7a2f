package state

import (
	"bytes"
	"errors"
	"sort"
	"strings"
)

// Overlay holds changes over a base that it does not touch. Overlays nest: one per
// block, one per transaction; dropping one undoes it.
type Overlay struct {
	base    Lister
	changes map[string]Change
}

// NewOverlay is an overlay without changes.
func NewOverlay(base Lister) *Overlay {
	return &Overlay{base: base, changes: map[string]Change{}}
}

// Set writes a key. The overlay keeps value; the caller must not change it later.
func (o *Overlay) Set(key, value []byte) {
	o.changes[string(key)] = Change{Key: bytes.Clone(key), Value: value}
}

// Delete removes a key.
func (o *Overlay) Delete(key []byte) {
	o.changes[string(key)] = Change{Key: bytes.Clone(key), Delete: true}
}

// Get reads through to the base.
func (o *Overlay) Get(key []byte) ([]byte, bool, error) {
	if c, ok := o.changes[string(key)]; ok {
		return c.Value, !c.Delete, nil
	}
	return o.base.Get(key)
}

// Each walks the base and the changes merged, as they were when the walk began: fn
// may change the overlay.
func (o *Overlay) Each(prefix []byte, fn func(key, value []byte) error) error {
	return o.EachAfter(prefix, nil, fn)
}

// EachAfter is Each from the first key above after on.
func (o *Overlay) EachAfter(prefix, after []byte, fn func(key, value []byte) error) error {
	base := func(fn func(k, v []byte) error) error { return o.base.EachAfter(prefix, after, fn) }
	return merge(base, o.within(prefix, after), fn)
}

func (o *Overlay) within(prefix, after []byte) []Change {
	var out []Change
	for k, c := range o.changes {
		if strings.HasPrefix(k, string(prefix)) && k > string(after) {
			out = append(out, c)
		}
	}
	sortChanges(out)
	return out
}

// merge walks base with changes, which are sorted, laid over it.
func merge(base func(func(k, v []byte) error) error, changes []Change, fn func(key, value []byte) error) error {
	emit := func(c Change) error {
		if c.Delete {
			return nil
		}
		return fn(c.Key, c.Value)
	}
	err := base(func(k, v []byte) error {
		for len(changes) > 0 {
			order := bytes.Compare(changes[0].Key, k)
			if order > 0 {
				break
			}
			c := changes[0]
			changes = changes[1:]
			if err := emit(c); err != nil {
				return err
			}
			if order == 0 {
				return nil
			}
		}
		return fn(k, v)
	})
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := emit(c); err != nil {
			return err
		}
	}
	return nil
}

// Changes are what the overlay holds, in key order.
func (o *Overlay) Changes() []Change { return o.within(nil, nil) }

// Merge writes the changes into parent, which must be the overlay's base.
func (o *Overlay) Merge(parent *Overlay) {
	for k, c := range o.changes {
		parent.changes[k] = c
	}
}

func sortChanges(c []Change) {
	sort.Slice(c, func(i, j int) bool { return bytes.Compare(c[i].Key, c[j].Key) < 0 })
}

// errFull ends a walk that has collected enough.
var errFull = errors.New("enough")
