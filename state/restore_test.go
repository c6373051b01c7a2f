package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// cutUp is a state at a height as a snapshot has it: items by node, and the hashes of the
// cut.
func cutUp(t testing.TB, s *State, height unit.Height) (top []blob.Hash, items map[uint32][]Item) {
	t.Helper()
	level := TopLevel(s.Buckets())
	top, err := s.Nodes(height, level)
	if err != nil {
		t.Fatal(err)
	}
	at, err := s.At(height)
	if err != nil {
		t.Fatal(err)
	}
	items = map[uint32][]Item{}
	err = at.Each(nil, func(k, v []byte) error {
		i := Item{Key: k, Value: v}
		node := LeafOf(s.Salt(), i).Node(s.Buckets(), level)
		items[node] = append(items[node], i)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return top, items
}

func manyKeys(n int, value byte) (c []Change) {
	for i := range n {
		c = append(c, Change{Key: fmt.Appendf(nil, "k%06d", i), Value: bytes.Repeat([]byte{byte(i), value}, 20)})
	}
	return c
}

func restorer(t testing.TB, kv KV, s *State, height unit.Height, top []blob.Hash) *Restorer {
	t.Helper()
	root, err := s.RootAt(height)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRestorer(kv, s.Salt(), s.Buckets(), height, root, top)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARestoredStateIsTheState(t *testing.T) {
	s := open(t, NewMemory())
	c := manyKeys(3000, 1)
	commit(t, s, 1, c[:2500])
	commit(t, s, 2, c[2500:])
	top, items := cutUp(t, s, 1)
	kv := NewMemory()
	r := restorer(t, kv, s, 1, top)
	missing := r.Missing()
	slices.Reverse(missing) // any order
	for _, node := range missing {
		if err := r.Finish(); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("finished with subtrees missing: %v", err)
		}
		if err := r.Put(node, items[node]); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	back := open(t, kv)
	root, _ := s.RootAt(1)
	if back.Height() != 1 || back.Root() != root {
		t.Fatalf("height %d root %s", back.Height(), back.Root())
	}
	commit(t, back, 2, c[2500:])
	if back.Root() != s.Root() {
		t.Fatal("the restored state goes another way")
	}
	if _, err := NewRestorer(kv, s.Salt(), s.Buckets(), 1, root, top); !errors.Is(err, ErrSnapshot) {
		t.Fatalf("restored over a state: %v", err)
	}
}

// A subtree from a stranger is refused by itself, whatever is wrong with it, and nothing
// of it is written.
func TestAWrongSubtreeIsRefusedByItself(t *testing.T) {
	s := open(t, NewMemory())
	commit(t, s, 1, manyKeys(3000, 1))
	top, items := cutUp(t, s, 1)
	root := s.Root()
	bent := slices.Clone(top)
	bent[3][0] ^= 1
	if _, err := NewRestorer(NewMemory(), s.Salt(), s.Buckets(), 1, root, bent); !errors.Is(err, ErrSnapshot) {
		t.Fatalf("hashes that lead elsewhere: %v", err)
	}
	kv := NewMemory()
	r := restorer(t, kv, s, 1, top)
	node, other := r.Missing()[0], r.Missing()[1]
	good := items[node]
	changed := slices.Clone(good)
	changed[0].Value = append(bytes.Clone(changed[0].Value), 1)
	hashed := slices.Clone(good)
	h := blob.Leaf(hashed[0].Value)
	hashed[0] = Item{Key: hashed[0].Key, Hash: h[:]}
	for name, bad := range map[string][]Item{
		"one missing": good[1:], "none": nil, "one more": append(slices.Clone(good), items[other][0]), "twice": append(slices.Clone(good), good[0]),
		"another subtree": items[other], "another value": changed, "a hash for a value": hashed,
		"an empty key": append(slices.Clone(good), Item{}), "a short hash": append(slices.Clone(good), Item{Key: []byte("x"), Hash: []byte{1}}),
	} {
		if err := r.Put(node, bad); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.Check(node, hashed); err != nil {
		t.Errorf("a long value that is asked for apart: %v", err)
	}
	written := 0
	kv.Each(nil, func(_, _ []byte) error { written++; return nil })
	if written > 0 {
		t.Errorf("%d keys of refused subtrees were written", written)
	}
	if err := r.Put(node, good); err != nil {
		t.Error(err)
	}
	if err := r.Put(node, good); !errors.Is(err, ErrTaken) {
		t.Errorf("a subtree twice: %v", err)
	}
}

// A download that was cut off anywhere goes on with the subtrees that are whole, also
// where the state has moved on meanwhile.
func TestACutOffRestoreGoesOn(t *testing.T) {
	s := open(t, NewMemory())
	commit(t, s, 1, manyKeys(2000, 1))
	top, items := cutUp(t, s, 1)
	kv := NewMemory()
	r := restorer(t, kv, s, 1, top)
	all := r.Missing()
	for _, node := range all[:len(all)/2] {
		if err := r.Put(node, items[node]); err != nil {
			t.Fatal(err)
		}
	}
	// One subtree has its values and no pages, as after a crash.
	w := writer{kv: kv}
	for _, x := range items[all[len(all)/2]] {
		w.put(Change{Key: valueKey(x.Key), Value: x.Value})
	}
	if err := w.flush(true); err != nil {
		t.Fatal(err)
	}
	if again := restorer(t, kv, s, 1, top).Missing(); !slices.Equal(again, all[len(all)/2:]) {
		t.Fatalf("%d of %d subtrees are missing after %d were written", len(again), len(all), len(all)/2)
	}
	// The chain goes on: a few keys change, one is deleted.
	c := manyKeys(10, 2)
	c[0] = Change{Key: c[0].Key, Delete: true}
	commit(t, s, 2, c)
	top, items = cutUp(t, s, 2)
	r = restorer(t, kv, s, 2, top)
	missing := r.Missing()
	if most := len(all)/2 + len(c) + 1; len(missing) > most {
		t.Fatalf("%d subtrees are missing, at most %d have changed or were missing", len(missing), most)
	}
	for _, node := range missing {
		if err := r.Put(node, items[node]); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	back := open(t, kv)
	if back.Root() != s.Root() {
		t.Fatal("another state")
	}
	at, _ := back.At(2)
	n := 0
	if err := at.Each(nil, func(_, _ []byte) error { n++; return nil }); err != nil || n != 1999 {
		t.Fatalf("%d keys: %v", n, err)
	}
}

// Keys that were ground into one bucket come by their hashes first.
func TestALongBucketComesInParts(t *testing.T) {
	s, err := Open(NewMemory(), testSalt, 1<<13)
	if err != nil {
		t.Fatal(err)
	}
	var c []Change
	for i := 0; len(c) < 40; i++ {
		k := binary.BigEndian.AppendUint64(nil, uint64(i))
		if b := BucketOf(testSalt, 1<<13, k); b == 5 || b == 4 && len(c) < 3 {
			c = append(c, Change{Key: k, Value: []byte{byte(i)}})
		}
	}
	commit(t, s, 1, c)
	top, items := cutUp(t, s, 1)
	kv := NewMemory()
	r := restorer(t, kv, s, 1, top)
	node := r.Missing()[0]
	var leaves []Leaf
	for _, i := range items[node] {
		leaves = append(leaves, LeafOf(testSalt, i))
	}
	slices.SortFunc(leaves, func(a, b Leaf) int { return a.Compare(b, 1<<13) })
	hashes := BucketsBelow(1<<13, node, leaves)
	wrong := slices.Clone(hashes)
	wrong[0], wrong[1] = wrong[1], wrong[0]
	if _, err := r.Divide(node, wrong); !errors.Is(err, ErrSnapshot) {
		t.Fatalf("buckets in another order: %v", err)
	}
	parts, err := r.Divide(node, hashes)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		var own []Leaf
		of := map[blob.Hash]Item{}
		for _, i := range items[node] {
			if l := LeafOf(testSalt, i); l.Node(1<<13, 13) == part {
				own, of[l.Key] = append(own, l), i
			}
		}
		slices.SortFunc(own, func(a, b Leaf) int { return a.Compare(b, 1<<13) })
		if _, err := r.Bucket(part, own[1:]); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("a bucket without its first leaf: %v", err)
		}
		b, err := r.Bucket(part, own)
		if err != nil {
			t.Fatal(err)
		}
		for n, all := b.Next(); !all; n, all = b.Next() {
			if len(own) > n+1 {
				if err := b.Put([]Item{of[own[n+1].Key]}); !errors.Is(err, ErrSnapshot) {
					t.Fatalf("an item out of turn: %v", err)
				}
			}
			if err := b.Put([]Item{of[own[n].Key]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	back, err := Open(kv, testSalt, 1<<13)
	if err != nil || back.Root() != s.Root() {
		t.Fatal("another state", err)
	}
	commit(t, s, 2, []Change{{Key: c[7].Key, Delete: true}})
	commit(t, back, 2, []Change{{Key: c[7].Key, Delete: true}})
	if back.Root() != s.Root() {
		t.Fatal("the pages of the restored bucket are others")
	}
}
