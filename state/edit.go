package state

import (
	"bytes"
	"sort"

	"github.com/walrus-network/walrus/blob"
)

// edit works out the pages of one bucket after changes, and writes nothing.
type edit struct {
	read pages
	seen []pageChange  // pages that were read, and what they became
	at   map[place]int // of many, where in seen
}

func newEdit(read pages) *edit { return &edit{read: read} }

// few is the pages that are found faster by looking at all.
const few = 8

func (e *edit) find(at place) *pageChange {
	if i, ok := e.at[at]; ok {
		return &e.seen[i]
	}
	for i := range e.seen[:min(len(e.seen), few)] {
		if e.seen[i].at == at {
			return &e.seen[i]
		}
	}
	return nil
}

// leafChange sets a key of the trie, or removes it.
type leafChange struct {
	leaf
	delete bool
}

func changeOf(key blob.Hash, c Change) leafChange {
	out := leafChange{leaf: leaf{key: key}, delete: c.Delete}
	if !c.Delete {
		out.value = blob.Leaf(c.Value)
	}
	return out
}

func (e *edit) get(at place) ([]byte, error) {
	if r := e.find(at); r != nil {
		return r.now, nil
	}
	raw, err := e.read(at)
	if err != nil {
		return nil, err
	}
	if len(e.seen) == few {
		e.at = map[place]int{}
	}
	if e.at != nil {
		e.at[at] = len(e.seen)
	}
	e.seen = append(e.seen, pageChange{at, raw, raw})
	return raw, nil
}

func (e *edit) put(at place, raw []byte) error {
	if _, err := e.get(at); err != nil { // what was there, for the versions before
		return err
	}
	e.find(at).now = raw
	return nil
}

// apply changes the part of the trie at a place, whose hash was as given, and returns
// what it is then. The changes are in the order of key; each key is there once.
func (e *edit) apply(at place, was blob.Hash, changes []leafChange) (child, error) {
	var p content
	if was != (blob.Hash{}) {
		var err error
		if p, err = pages(e.get).load(at, was); err != nil {
			return child{}, err
		}
	}
	if len(p.children) == 0 {
		return e.lay(at, mergeLeaves(p.leaves, changes))
	}
	for len(changes) > 0 {
		slot := slotOf(changes[0].key, at.level())
		n := sort.Search(len(changes), func(i int) bool { return slotOf(changes[i].key, at.level()) > slot })
		c, err := e.apply(at.below(slot), p.at(slot).hash, changes[:n])
		if err != nil {
			return child{}, err
		}
		c.slot = slot
		p, changes = p.with(c), changes[n:]
	}
	if p.count() <= pageLeaves {
		leaves, err := e.gather(at, p, nil)
		if err != nil {
			return child{}, err
		}
		return e.lay(at, leaves)
	}
	return child{count: p.count(), hash: p.hash(at.level())}, e.put(at, p.encode())
}

// lay makes pages of leaves at a place and below, where no pages are.
func (e *edit) lay(at place, leaves []leaf) (child, error) {
	if len(leaves) == 0 {
		return child{}, e.put(at, nil)
	}
	p := content{leaves: leaves}
	if len(leaves) > pageLeaves {
		p = content{}
		for rest := leaves; len(rest) > 0; {
			slot := slotOf(rest[0].key, at.level())
			n := sort.Search(len(rest), func(i int) bool { return slotOf(rest[i].key, at.level()) > slot })
			c, err := e.lay(at.below(slot), rest[:n])
			if err != nil {
				return child{}, err
			}
			c.slot = slot
			p.children, rest = append(p.children, c), rest[n:]
		}
	}
	return child{count: uint64(len(leaves)), hash: p.hash(at.level())}, e.put(at, p.encode())
}

// gather takes the pages below a page off and returns their leaves, in order. There
// are few: a page with children has pageLeaves leaves or fewer only when it is to have
// none.
func (e *edit) gather(at place, p content, leaves []leaf) ([]leaf, error) {
	for _, c := range p.children {
		below := at.below(c.slot)
		q, err := pages(e.get).load(below, c.hash)
		if err == nil {
			err = e.put(below, nil)
		}
		if err == nil {
			leaves, err = e.gather(below, q, append(leaves, q.leaves...))
		}
		if err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// changed is the pages that became others, in the order of their places.
func (e *edit) changed() []pageChange {
	var out []pageChange
	for _, r := range e.seen {
		if !bytes.Equal(r.old, r.now) {
			out = append(out, r)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].at < out[j].at })
	return out
}

// pageChange is a page before and after a change; nil: there is none.
type pageChange struct {
	at       place
	old, now []byte
}

func (r pageChange) change() Change {
	return Change{Key: []byte(r.at), Value: r.now, Delete: r.now == nil}
}

// alone says whether a page is all of a bucket, before and after.
func (r pageChange) alone() bool {
	whole := func(raw []byte) bool { return len(raw) == 0 || raw[0] == leafPage }
	return r.at.level() == 0 && whole(r.old) && whole(r.now)
}

// mergeLeaves is leaves after changes, in order.
func mergeLeaves(leaves []leaf, changes []leafChange) []leaf {
	out := make([]leaf, 0, len(leaves)+len(changes))
	for _, c := range changes {
		n := sort.Search(len(leaves), func(i int) bool { return string(leaves[i].key[:]) >= string(c.key[:]) })
		out = append(out, leaves[:n]...)
		if leaves = leaves[n:]; len(leaves) > 0 && leaves[0].key == c.key {
			leaves = leaves[1:]
		}
		if !c.delete {
			out = append(out, c.leaf)
		}
	}
	return append(out, leaves...)
}
