package state

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/unit"
)

func snapshotOf(t *testing.T, s *State, height unit.Height) (chunks [][]byte) {
	t.Helper()
	if err := s.Snapshot(height, func(c []byte) error { chunks = append(chunks, c); return nil }); err != nil {
		t.Fatal(err)
	}
	return chunks
}

func feed(chunks [][]byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, nil
		}
		c := chunks[0]
		chunks = chunks[1:]
		return c, nil
	}
}

func TestARestoredStateIsTheState(t *testing.T) {
	s := open(t, NewMemory())
	var c []Change
	for i := range 6000 { // several pages and several chunks
		c = append(c, Change{Key: fmt.Appendf(nil, "k%06d", i), Value: bytes.Repeat([]byte{byte(i)}, 400)})
	}
	commit(t, s, 1, c[:5000])
	commit(t, s, 2, c[5000:])
	chunks, again := snapshotOf(t, s, 1), snapshotOf(t, s, 1)
	if len(chunks) < 2 || len(chunks) != len(again) {
		t.Fatalf("%d and %d chunks", len(chunks), len(again))
	}
	for i := range chunks {
		if !bytes.Equal(chunks[i], again[i]) {
			t.Fatal("two snapshots of one height differ")
		}
	}
	root, err := s.RootAt(1)
	if err != nil {
		t.Fatal(err)
	}
	kv := NewMemory()
	if err := Restore(kv, testSalt, testBuckets, 1, root, feed(chunks)); err != nil {
		t.Fatal(err)
	}
	back := open(t, kv)
	if back.Height() != 1 || back.Root() != root {
		t.Fatalf("height %d root %s", back.Height(), back.Root())
	}
	commit(t, back, 2, c[5000:])
	if back.Root() != s.Root() {
		t.Fatal("the restored state goes another way")
	}
	if err := Restore(kv, testSalt, testBuckets, 1, root, feed(chunks)); !errors.Is(err, ErrSnapshot) {
		t.Fatalf("restored over a state: %v", err)
	}
	swapped := append([][]byte{chunks[1], chunks[0]}, chunks[2:]...)
	for name, bad := range map[string][][]byte{"swapped": swapped, "missing": chunks[1:], "short": chunks[:1], "twice": append(chunks[:1:1], chunks...), "rubbish": {[]byte("x")}} {
		kv := NewMemory()
		if err := Restore(kv, testSalt, testBuckets, 1, root, feed(bad)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
		if s, err := Open(kv, testSalt, testBuckets); err == nil && !s.Empty() {
			t.Errorf("%s: opens as a state", name)
		}
	}
}

func FuzzRestore(f *testing.F) {
	s, err := Open(NewMemory(), testSalt, testBuckets)
	if err != nil {
		f.Fatal(err)
	}
	commit(f, s, 1, []Change{{Key: []byte("a"), Value: []byte{1}}, {Key: []byte("b"), Value: []byte{2}}})
	if err := s.Snapshot(1, func(c []byte) error { f.Add(c); return nil }); err != nil {
		f.Fatal(err)
	}
	root := s.Root()
	f.Fuzz(func(t *testing.T, chunk []byte) {
		kv := NewMemory()
		if Restore(kv, testSalt, testBuckets, 1, root, feed([][]byte{chunk})) != nil {
			return
		}
		back := open(t, kv)
		at, err := back.At(1)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := at.Each(nil, func(k, v []byte) error { n++; return nil }); err != nil || n != 2 {
			t.Fatalf("%d keys restored under the root of two: %v", n, err)
		}
	})
}
