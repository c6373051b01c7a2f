package state

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// provable is a state with some eight keys in most buckets, and some in all.
func provable(t testing.TB) *State {
	s := open(t, NewMemory())
	var c []Change
	for i := range 8 * testBuckets {
		c = append(c, Change{Key: fmt.Appendf(nil, "key %d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	commit(t, s, 1, c)
	return s
}

// forgeries are what can be done to a good proof.
func forgeries(other Proof) map[string]func(*Proof) {
	return map[string]func(*Proof){
		"other value":           func(p *Proof) { p.Value = []byte("value 4") },
		"no value":              func(p *Proof) { p.Value = nil },
		"a value more":          func(p *Proof) { p.Value = append(p.Value, 0) },
		"another leaf":          func(p *Proof) { p.Leaf, p.Value = other.Leaf, nil },
		"another's proof":       func(p *Proof) { *p = other },
		"an empty bucket":       func(p *Proof) { *p = Proof{Path: p.Path[len(p.Branches):]} },
		"an empty place":        func(p *Proof) { p.Leaf, p.Value = nil, nil },
		"half a leaf":           func(p *Proof) { p.Leaf = p.Leaf[:1] },
		"a leaf and a half":     func(p *Proof) { p.Leaf = append(p.Leaf, blob.Hash{}) },
		"a branch for the leaf": func(p *Proof) { p.Leaf = []blob.Hash{p.Leaf[0], p.Path[0]} },
		"a branch less":         func(p *Proof) { p.Branches, p.Path = p.Branches[1:], p.Path[1:] },
		"a branch more": func(p *Proof) {
			p.Branches = append([]byte{255}, p.Branches...)
			p.Path = append(p.Path[:1:1], p.Path...)
		},
		"a branch twice": func(p *Proof) {
			p.Branches = append(p.Branches[:1:1], p.Branches...)
			p.Path = append(p.Path[:1:1], p.Path...)
		},
		"another bit":            func(p *Proof) { p.Branches[len(p.Branches)-1]++ },
		"branches in disorder":   func(p *Proof) { slices.Reverse(p.Branches) },
		"a branch as a node":     func(p *Proof) { p.Branches = p.Branches[:len(p.Branches)-1] },
		"a node as a branch":     func(p *Proof) { p.Branches = append(p.Branches, 0) },
		"short path":             func(p *Proof) { p.Path = p.Path[1:] },
		"path without its end":   func(p *Proof) { p.Path = p.Path[:len(p.Path)-1] },
		"long path":              func(p *Proof) { p.Path = append(p.Path, blob.Hash{}) },
		"other path":             func(p *Proof) { p.Path[2][0] ^= 1 },
		"other path at the end":  func(p *Proof) { p.Path[len(p.Path)-1][31] ^= 1 },
		"siblings in disorder":   func(p *Proof) { p.Path[0], p.Path[1] = p.Path[1], p.Path[0] },
		"another key's own leaf": func(p *Proof) { p.Leaf[0] = other.Leaf[0] },
	}
}

func proofOf(t testing.TB, s *State, height unit.Height, key string) Proof {
	t.Helper()
	p, err := s.Prove(height, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAForgedProofIsRefused(t *testing.T) {
	s := provable(t)
	root := s.Root()
	for _, key := range []string{"key 3", "absent"} {
		if p := proofOf(t, s, 1, key); len(p.Branches) < 2 {
			t.Fatalf("%s: the way has %d branches: too few to forge with", key, len(p.Branches))
		}
		var other Proof
		for i := 0; len(other.Leaf) == 0; i++ {
			k := fmt.Sprintf("key %d", i)
			if k != key && BucketOf(testSalt, testBuckets, []byte(k)) == BucketOf(testSalt, testBuckets, []byte(key)) {
				if other = proofOf(t, s, 1, k); slices.Equal(other.Leaf, proofOf(t, s, 1, key).Leaf) {
					other = Proof{}
				}
			}
		}
		for name, forge := range forgeries(other) {
			p := proofOf(t, s, 1, key)
			before := p.Encode()
			forge(&p)
			if bytes.Equal(p.Encode(), before) {
				continue // absent: without a value
			}
			if v, ok, err := p.Verify(root, testSalt, testBuckets, []byte(key)); err == nil {
				t.Errorf("%s: %s: shows %q %v", key, name, v, ok)
			}
		}
	}
	p := proofOf(t, s, 1, "key 3")
	for i := range 8 * testBuckets {
		if i == 3 {
			continue
		}
		if v, ok, err := p.Verify(root, testSalt, testBuckets, fmt.Appendf(nil, "key %d", i)); err == nil {
			t.Errorf("the proof of another key shows that key %d holds %q %v", i, v, ok)
		}
	}
	key := []byte("key 3")
	if _, _, err := p.Verify(blob.Leaf([]byte("other")), testSalt, testBuckets, key); err == nil {
		t.Error("a proof leads to another root")
	}
	if _, _, err := p.Verify(root, [32]byte{9}, testBuckets, key); err == nil {
		t.Error("a proof holds under another salt")
	}
	for _, buckets := range []int{0, 1, testBuckets / 2, testBuckets * 2, 12, -16, 1 << 62} {
		if _, _, err := p.Verify(root, testSalt, buckets, key); err == nil {
			t.Errorf("a proof holds in a tree of %d buckets", buckets)
		}
	}
}

// TestARootAndAKeyHaveOneProof changes every byte of proofs of every kind.
func TestARootAndAKeyHaveOneProof(t *testing.T) {
	s := provable(t)
	empty := open(t, NewMemory())
	commit(t, empty, 1, nil)
	for name, x := range map[string]struct {
		of  *State
		key string
	}{"there": {s, "key 3"}, "not there": {s, "absent"}, "empty": {empty, "absent"}} {
		good := proofOf(t, x.of, 1, x.key).Encode()
		for i := range good {
			for _, d := range []byte{1, 2, 0x20, 0x80, 0xff} {
				bad := bytes.Clone(good)
				bad[i] ^= d
				p, err := DecodeProof(bad)
				if err != nil {
					continue
				}
				if v, ok, err := p.Verify(x.of.Root(), testSalt, testBuckets, []byte(x.key)); err == nil {
					t.Fatalf("%s: byte %d changed: shows %q %v", name, i, v, ok)
				}
			}
		}
		for _, bad := range [][]byte{append(bytes.Clone(good), 0), good[:len(good)-1], nil} {
			if _, err := DecodeProof(bad); err == nil {
				t.Fatalf("%s: %d bytes of %d are taken", name, len(bad), len(good))
			}
		}
	}
}

// A key and what it begins with, and keys of all lengths, lie anywhere in the tree.
func TestKeysThatBeginEachOtherAndTheLongestAreProven(t *testing.T) {
	s := open(t, NewMemory())
	long := bytes.Repeat([]byte{0xab}, maxKey)
	var c []Change
	for n := 1; n <= maxKey; n++ {
		c = append(c, Change{Key: long[:n], Value: fmt.Append(nil, n)})
	}
	commit(t, s, 1, c)
	for n := 1; n <= maxKey; n++ {
		p := proofOf(t, s, 1, string(long[:n]))
		if v, ok, err := p.Verify(s.Root(), testSalt, testBuckets, long[:n]); err != nil || !ok || string(v) != fmt.Sprint(n) {
			t.Fatalf("%d bytes: %q %v %v", n, v, ok, err)
		}
		if size := len(p.Encode()) - len(p.Value); size > 1500 {
			t.Fatalf("%d bytes: a proof of %d", n, size)
		}
	}
	for _, k := range []string{"", string(long) + "x", "\xab\xab\xaa"} {
		if _, ok, err := proofOf(t, s, 1, k).Verify(s.Root(), testSalt, testBuckets, []byte(k)); err != nil || ok {
			t.Fatalf("key of %d bytes: %v %v", len(k), ok, err)
		}
	}
}

func FuzzProof(f *testing.F) {
	s := provable(f)
	root, key := s.Root(), []byte("key 3")
	for _, k := range []string{"key 3", "key 4", "absent"} {
		f.Add(proofOf(f, s, 1, k).Encode())
	}
	good := proofOf(f, s, 1, "key 3").Encode()
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatal("accepted bytes that are not canonical")
		}
		if _, _, err := p.Verify(root, testSalt, testBuckets, key); err == nil && !bytes.Equal(b, good) {
			t.Fatal("a second proof of one key holds")
		}
	})
}

func FuzzPage(f *testing.F) {
	kv := NewMemory()
	s := open(f, kv)
	var c []Change
	for i := range 40 * testBuckets {
		c = append(c, Change{Key: fmt.Appendf(nil, "key %d", i)})
	}
	commit(f, s, 1, c)
	for _, letter := range []byte{letterBucket, letterPage} {
		kv.Each([]byte{letter}, func(_, v []byte) error { f.Add(v); return nil })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePage(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.encode(), b) {
			t.Fatal("a page has two encodings")
		}
		for level := range maxLevel {
			p.hash(level)
		}
	})
}
