package state

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

func provable(t testing.TB) *State {
	s := open(t, NewMemory())
	var c []Change
	for i := range 40 {
		c = append(c, Change{Key: fmt.Appendf(nil, "key %d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	commit(t, s, 1, c)
	return s
}

func TestAForgedProofIsRefused(t *testing.T) {
	s := provable(t)
	root, key := s.Root(), []byte("key 3")
	good := func() Proof {
		p, err := s.Prove(1, key)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := good(); len(p.Bucket) < 2 {
		t.Fatal("the bucket has one key: too few to forge with")
	}
	for name, forge := range map[string]func(*Proof){
		"other value":  func(p *Proof) { p.Value = []byte("value 4") },
		"no value":     func(p *Proof) { p.Value = nil },
		"key left out": func(p *Proof) { p.Bucket, p.Value = nil, nil },
		"only it left out": func(p *Proof) {
			i, _ := bucket(p.Bucket).find(key)
			p.Bucket, p.Value = append(append([]ProofSlot{}, p.Bucket[:i]...), p.Bucket[i+1:]...), nil
		},
		"order":       func(p *Proof) { p.Bucket[0], p.Bucket[1] = p.Bucket[1], p.Bucket[0] },
		"short path":  func(p *Proof) { p.Path = p.Path[1:] },
		"long path":   func(p *Proof) { p.Path = append(p.Path, blob.Hash{}) },
		"other path":  func(p *Proof) { p.Path[2][0] ^= 1 },
		"key renamed": func(p *Proof) { p.Bucket[0].Key = []byte("key 3000") },
	} {
		p := good()
		forge(&p)
		if v, ok, err := p.Verify(root, testSalt, testBuckets, key); err == nil {
			t.Errorf("%s: shows %q %v", name, v, ok)
		}
	}
	p := good()
	if _, _, err := p.Verify(root, testSalt, testBuckets, []byte("key 4")); err == nil {
		if BucketOf(testSalt, testBuckets, []byte("key 4")) != BucketOf(testSalt, testBuckets, key) {
			t.Error("a proof of one bucket shows a key of another")
		}
	}
	if _, _, err := p.Verify(blob.Leaf([]byte("other")), testSalt, testBuckets, key); err == nil {
		t.Error("a proof leads to another root")
	}
	if _, _, err := p.Verify(root, [32]byte{9}, testBuckets, key); err == nil {
		t.Error("a proof holds under another salt")
	}
}

func FuzzProof(f *testing.F) {
	s := provable(f)
	root, key := s.Root(), []byte("key 3")
	for _, k := range []string{"key 3", "key 4", "absent"} {
		p, err := s.Prove(1, []byte(k))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatal("accepted bytes that are not canonical")
		}
		if v, ok, err := p.Verify(root, testSalt, testBuckets, key); err == nil && (!ok || string(v) != "value 3") {
			t.Fatalf("a proof shows %q %v", v, ok)
		}
	})
}
