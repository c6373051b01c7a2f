package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// ErrTaken is returned for a subtree that is there already, or was divided.
var ErrTaken = errors.New("the subtree is not missing")

// Restorer makes a KV the state at a height whose root is known, out of subtrees that
// come in any order. Each is checked by itself, before anything of it is written.
//
// Invariant: a subtree's pages are written after its values, and nothing is written over
// what is there. So a subtree whose pages have the hash it should have, and as many keys
// as there are values, is whole, also after the process was killed.
type Restorer struct {
	s      *State // nothing is committed to it
	height unit.Height
	root   blob.Hash
	level  int // at which the state is cut

	mu    sync.Mutex           // guards the fields below
	want  map[uint32]blob.Hash // of nodes that are missing
	empty []blob.Hash          // the hash of an empty subtree, by level
}

// NewRestorer goes on with what kv holds of the state at a height, or begins. top is the
// hashes at TopLevel, which lead to root. Subtrees that kv holds and that the state at
// this height does not have are deleted.
func NewRestorer(kv KV, salt [32]byte, buckets int, height unit.Height, root blob.Hash, top []blob.Hash) (*Restorer, error) {
	if err := CheckBuckets(buckets); err != nil {
		return nil, err
	}
	level := TopLevel(buckets)
	if len(top) != 1<<level || foldNodes(top) != root {
		return nil, fmt.Errorf("%d hashes that do not lead to the root of height %d: %w", len(top), height, ErrSnapshot)
	}
	r := &Restorer{s: &State{kv: kv, salt: salt, tree: newTree(buckets)}, height: height, root: root, level: level, want: map[uint32]blob.Hash{}}
	for l, h := LevelOf(uint32(buckets)), (blob.Hash{}); l >= 0; l-- {
		r.empty = append(r.empty, h)
		h = blob.Node(h, h)
	}
	slices.Reverse(r.empty)
	if _, ok, err := kv.Get([]byte{letterMarker}); err != nil || ok {
		return nil, errors.Join(err, fmt.Errorf("restore: the directory holds a whole ledger: %w", ErrSnapshot))
	}
	if err := r.sweep(top); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return r, nil
}

// sweep finds the subtrees that are there, and deletes what is left of others.
func (r *Restorer) sweep(top []blob.Hash) error {
	buckets := r.s.tree.buckets()
	pages, values := make([]uint64, len(top)), make([]uint64, len(top)) // keys, by subtree
	cut := func(bucket uint32) int { return int(bucket) >> (LevelOf(uint32(buckets)) - r.level) }
	some, damaged := false, make([]bool, len(top))
	err := r.s.kv.Each([]byte{letterBucket}, func(k, v []byte) error {
		b := binary.BigEndian.Uint32(k[1:])
		if len(k) != bucketKeyLen || int(b) >= buckets {
			return fmt.Errorf("page %x: %w", k, ErrCorrupt)
		}
		some = true
		p, err := decodePage(v)
		if err != nil {
			damaged[cut(b)] = true
			return nil
		}
		r.s.tree[buckets+int(b)] = p.hash(0)
		pages[cut(b)] += p.count()
		return nil
	})
	if err != nil {
		return err
	}
	ofKey := func(k []byte) int { return cut(uint32(BucketOf(r.s.salt, buckets, k[1:]))) }
	err = r.s.kv.Each([]byte{letterValue}, func(k, _ []byte) error {
		some = true
		values[ofKey(k)]++
		return nil
	})
	if err != nil {
		return err
	}
	if some {
		r.s.tree.fill()
	}
	gone := make([]bool, len(top))
	for i, want := range top {
		node := uint32(len(top) + i)
		switch {
		case some && !damaged[i] && r.s.tree[node] == want && pages[i] == values[i]:
		case want == r.empty[r.level] && pages[i] == 0 && values[i] == 0:
		default:
			gone[i] = some
			if want != r.empty[r.level] {
				r.want[node] = want
			}
		}
	}
	if !some {
		return nil
	}
	return r.delete(gone, cut, ofKey)
}

// delete removes subtrees, and forgets their buckets' hashes.
func (r *Restorer) delete(gone []bool, cut func(uint32) int, ofKey func([]byte) int) error {
	w := writer{kv: r.s.kv}
	each := func(letter byte, of func(k []byte) int) error {
		return r.s.kv.Each([]byte{letter}, func(k, _ []byte) error {
			if gone[of(k)] {
				w.put(Change{Key: bytes.Clone(k), Delete: true})
			}
			return w.err
		})
	}
	ofPage := func(k []byte) int { return cut(binary.BigEndian.Uint32(k[1:])) }
	// Pages first: a subtree without them is deleted again if this is cut off.
	if err := errors.Join(each(letterBucket, ofPage), each(letterPage, ofPage), each(letterValue, ofKey)); err != nil {
		return err
	}
	buckets := r.s.tree.buckets()
	for b := range buckets {
		if gone[cut(uint32(b))] {
			r.s.tree[buckets+b] = blob.Hash{}
		}
	}
	return w.flush(false)
}

// Missing is the nodes whose subtrees are to be fetched, ascending: those at the level of
// the cut first.
func (r *Restorer) Missing() []uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]uint32, 0, len(r.want))
	for node := range r.want {
		out = append(out, node)
	}
	slices.Sort(out)
	return out
}

func (r *Restorer) wanted(node uint32) (blob.Hash, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	want, ok := r.want[node]
	if !ok {
		return want, fmt.Errorf("node %d of the tree: %w", node, ErrTaken)
	}
	return want, nil
}

// Divide puts the buckets under a missing node in its place, once their hashes lead to
// it, and returns those that have keys.
func (r *Restorer) Divide(node uint32, hashes []blob.Hash) ([]uint32, error) {
	want, err := r.wanted(node)
	if err != nil {
		return nil, err
	}
	first, count := below(r.s.tree.buckets(), node)
	if count < 2 || uint32(len(hashes)) != count || foldNodes(hashes) != want {
		return nil, fmt.Errorf("%d hashes do not lead to node %d: %w", len(hashes), node, ErrSnapshot)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.want, node)
	var out []uint32
	for i, h := range hashes {
		if h != (blob.Hash{}) {
			r.want[first+uint32(i)] = h
			out = append(out, first+uint32(i))
		}
	}
	return out, nil
}

// Check says whether items, in any order, are all keys under a missing node. Values that
// were left out count by their hashes.
func (r *Restorer) Check(node uint32, items []Item) error {
	want, err := r.wanted(node)
	if err != nil {
		return err
	}
	leaves, err := r.leaves(items)
	if err != nil {
		return err
	}
	buckets := r.s.tree.buckets()
	slices.SortFunc(leaves, func(a, b Leaf) int { return a.Compare(b, buckets) })
	for i, l := range leaves {
		if l.Node(buckets, LevelOf(node)) != node || i > 0 && leaves[i-1].Key == l.Key {
			return fmt.Errorf("a key that is not under node %d, or twice: %w", node, ErrSnapshot)
		}
	}
	if foldNodes(BucketsBelow(buckets, node, leaves)) != want {
		return fmt.Errorf("%d keys are not those under node %d: %w", len(items), node, ErrSnapshot)
	}
	return nil
}

func (r *Restorer) leaves(items []Item) ([]Leaf, error) {
	out := make([]Leaf, len(items))
	for i, x := range items {
		if err := x.Check(); err != nil {
			return nil, err
		}
		out[i] = LeafOf(r.s.salt, x)
	}
	return out, nil
}

// Put writes all keys under a missing node. Their values are all there.
func (r *Restorer) Put(node uint32, items []Item) error {
	if err := r.Check(node, items); err != nil {
		return err
	}
	changes := make([]Change, len(items))
	w := writer{kv: r.s.kv}
	for i, x := range items {
		if len(x.Hash) > 0 {
			return fmt.Errorf("key %x without its value: %w", x.Key, ErrSnapshot)
		}
		changes[i] = Change{Key: x.Key, Value: x.Value}
		w.put(Change{Key: valueKey(x.Key), Value: x.Value})
	}
	none := func(uint32) blob.Hash { return blob.Hash{} }
	buckets, pages, err := r.s.rebuild(none, func(place) ([]byte, error) { return nil, nil }, changes, r.s.hashed(changes))
	if err != nil {
		return err
	}
	for _, p := range pages {
		w.put(p.change())
	}
	if err := w.flush(false); err != nil {
		return err
	}
	r.take(node, buckets)
	return nil
}

// take notes that a subtree is there, with the hashes of its buckets.
func (r *Restorer) take(node uint32, buckets nodes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s.tree.apply(buckets)
	delete(r.want, node)
}

// Bucket is a missing bucket whose keys are too many for one message: they are known by
// their hashes, and their values come some at a time.
type Bucket struct {
	r      *Restorer
	node   uint32
	leaves []Leaf
	next   int // of leaves, the first whose value is missing
}

// Bucket begins with a bucket, once its leaves lead to its hash.
func (r *Restorer) Bucket(node uint32, leaves []Leaf) (*Bucket, error) {
	want, err := r.wanted(node)
	if err != nil {
		return nil, err
	}
	buckets := r.s.tree.buckets()
	for i, l := range leaves {
		if l.Node(buckets, LevelOf(uint32(buckets))) != node || i > 0 && compareHashes(leaves[i-1].Key, l.Key) >= 0 {
			return nil, fmt.Errorf("leaves of bucket %d are of another, or not in order: %w", node, ErrSnapshot)
		}
	}
	if len(leaves) == 0 || bucketHash(leaves) != want {
		return nil, fmt.Errorf("%d leaves do not make bucket %d: %w", len(leaves), node, ErrSnapshot)
	}
	return &Bucket{r: r, node: node, leaves: leaves}, nil
}

// Next is the number of leaves whose values are there; all say that the bucket is whole.
func (b *Bucket) Next() (n int, all bool) { return b.next, b.next == len(b.leaves) }

// Fits says whether items are the next ones of the bucket, in order. Values that were
// left out count by their hashes.
func (b *Bucket) Fits(items []Item) error {
	leaves, err := b.r.leaves(items)
	if err != nil {
		return err
	}
	if len(leaves) == 0 || len(leaves) > len(b.leaves)-b.next || !slices.Equal(leaves, b.leaves[b.next:b.next+len(leaves)]) {
		return fmt.Errorf("%d keys are not the next of bucket %d: %w", len(items), b.node, ErrSnapshot)
	}
	return nil
}

// Put writes the next items, with their values. After the last, the bucket is no longer
// missing.
func (b *Bucket) Put(items []Item) error {
	if err := b.Fits(items); err != nil {
		return err
	}
	w := writer{kv: b.r.s.kv}
	for _, x := range items {
		if len(x.Hash) > 0 {
			return fmt.Errorf("key %x without its value: %w", x.Key, ErrSnapshot)
		}
		w.put(Change{Key: valueKey(x.Key), Value: x.Value})
	}
	if b.next+len(items) == len(b.leaves) {
		inner := make([]leaf, len(b.leaves))
		for i, l := range b.leaves {
			inner[i] = leaf{l.Key, l.Value}
		}
		e := newEdit(func(place) ([]byte, error) { return nil, nil })
		made, err := e.lay(placeOf(int(b.node)-b.r.s.tree.buckets()), inner)
		if err != nil {
			return err
		}
		for _, p := range e.changed() {
			w.put(p.change())
		}
		defer b.r.take(b.node, nodes{at: []uint32{b.node}, hash: []blob.Hash{made.hash}})
	}
	if err := w.flush(false); err != nil {
		return err
	}
	b.next += len(items)
	return nil
}

// Finish makes kv a state, once nothing is missing. All of it is durable then.
func (r *Restorer) Finish() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.want) > 0 {
		return fmt.Errorf("restore height %d: %d subtrees are missing: %w", r.height, len(r.want), ErrSnapshot)
	}
	r.s.tree.fill()
	if r.s.tree.root() != r.root {
		return fmt.Errorf("restore height %d: root %s, want %s: %w", r.height, r.s.tree.root(), r.root, ErrSnapshot)
	}
	w := writer{kv: r.s.kv}
	w.put(Change{Key: []byte{letterMarker}, Value: canon.Encode(marker{Height: r.height, Root: r.root, Salt: r.s.salt, Buckets: uint32(r.s.tree.buckets())})})
	return w.flush(true)
}
