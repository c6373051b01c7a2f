package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/unit"
)

// plainT is T as doc/formats.md has it, worked out from all keys at once.
func plainT(leaves []leaf, bit int) blob.Hash {
	switch len(leaves) {
	case 0:
		return blob.Hash{}
	case 1:
		return leaves[0].hash()
	}
	var side [2][]leaf
	for _, l := range leaves {
		one := l.key[bit/8] >> (7 - bit%8) & 1
		side[one] = append(side[one], l)
	}
	if len(side[0]) == 0 || len(side[1]) == 0 {
		return plainT(leaves, bit+1)
	}
	return branchHash(uint8(bit), plainT(side[0], bit+1), plainT(side[1], bit+1))
}

// plainRoot is the root of a state that holds what m does.
func plainRoot(m model, buckets int) blob.Hash {
	in := make([][]leaf, buckets)
	for k, v := range m {
		h := hashKey(testSalt, []byte(k))
		b := bucketOf(h, buckets)
		in[b] = append(in[b], leaf{h, blob.Leaf([]byte(v))})
	}
	var roots []blob.Hash
	for _, leaves := range in {
		roots = append(roots, plainT(leaves, 0))
	}
	return blob.Root(roots)
}

// wave sets and removes many keys: more of the one, then more of the other.
func (m model) wave(r *rand.Rand, keys, changes int, grow bool) []Change {
	seen := map[string]bool{}
	var out []Change
	for range changes {
		k := fmt.Sprint("k", r.Intn(keys))
		if seen[k] {
			continue
		}
		seen[k] = true
		if r.Intn(5) == 0 == grow {
			delete(m, k)
			out = append(out, Change{Key: []byte(k), Delete: true})
			continue
		}
		m[k] = fmt.Sprint(r.Intn(1000))
		out = append(out, Change{Key: []byte(k), Value: []byte(m[k])})
	}
	return out
}

// contents is what the disk holds under the letters that a version is made of.
func contents(kv *Memory) map[string]string {
	out := map[string]string{}
	for _, letter := range []byte{letterValue, letterBucket, letterPage} {
		kv.Each([]byte{letter}, func(k, v []byte) error { out[string(k)] = string(v); return nil })
	}
	return out
}

// TestPagesAndRootsFollowFromTheKeysAlone lets buckets grow over many pages and shrink
// again, opens the state now and then, and compares it with one laid at once.
func TestPagesAndRootsFollowFromTheKeysAlone(t *testing.T) {
	const buckets, keys = 2, 700
	r := rand.New(rand.NewSource(5))
	kv := NewMemory()
	s, err := Open(kv, testSalt, buckets)
	if err != nil {
		t.Fatal(err)
	}
	now, deepest := model{}, 0
	versions := map[unit.Height]model{}
	for h := unit.Height(1); h <= 80; h++ {
		grow := h/20%2 == 0
		commit(t, s, h, now.wave(r, keys, 1+r.Intn(120), grow))
		versions[h] = now.clone()
		if h%7 == 0 {
			if s, err = Open(kv, testSalt, buckets); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := s.Root(), plainRoot(now, buckets); got != want {
			t.Fatalf("height %d: root %s of %d keys, want %s", h, got, len(now), want)
		}
		fresh := NewMemory()
		f, err := Open(fresh, testSalt, buckets)
		if err != nil {
			t.Fatal(err)
		}
		var whole []Change
		for k, v := range now {
			whole = append(whole, Change{Key: []byte(k), Value: []byte(v)})
		}
		commit(t, f, 1, whole)
		if !maps.Equal(contents(kv), contents(fresh)) {
			t.Fatalf("height %d: other pages than those of %d keys laid at once", h, len(now))
		}
		for k := range contents(kv) {
			deepest = max(deepest, len(k)-bucketKeyLen)
		}
		for back := uint64(0); unit.Height(back) <= min(h-1, kept); back++ {
			was := versions[h.Minus(back)]
			root, err := s.RootAt(h.Minus(back))
			if err != nil || root != plainRoot(was, buckets) {
				t.Fatalf("height %d of %d: root %s %v", h.Minus(back), h, root, err)
			}
			for range 60 {
				k := fmt.Sprint("k", r.Intn(keys))
				v, ok, err := proofOf(t, s, h.Minus(back), k).Verify(root, testSalt, buckets, []byte(k))
				if want, there := was[k]; err != nil || ok != there || string(v) != want {
					t.Fatalf("height %d of %d: %s is %q %v %v, want %q %v", h.Minus(back), h, k, v, ok, err, want, there)
				}
			}
		}
	}
	if deepest < 2 {
		t.Fatalf("pages are %d deep: too little to show anything", deepest)
	}
}

// grind finds n keys that fall into a bucket.
func grind(buckets, bucket, n int) [][]byte {
	out := make([][]byte, 0, n)
	for i := uint64(0); len(out) < n; i++ {
		k := binary.BigEndian.AppendUint64([]byte("ground "), i)
		if BucketOf(testSalt, buckets, k) == bucket {
			out = append(out, k)
		}
	}
	return out
}

// proofBound is what a proof may have beside its value, whatever was ground.
const proofBound = 4096

func TestAProofStaysShortInABucketThatManyKeysWereGroundInto(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	for _, x := range []struct{ buckets, ground, plain int }{
		{4096, 2000, 0}, {1 << 4, testlevel.Repeat(0, 20_000, 100_000), 0},
		{1 << 10, 1000, 25_000}, // as full as 2^20 buckets of 2.5 * 10^7 keys
	} {
		s, err := Open(NewMemory(), testSalt, x.buckets)
		if err != nil {
			t.Fatal(err)
		}
		victim := []byte("h")
		bucket := BucketOf(testSalt, x.buckets, victim)
		all := grind(x.buckets, bucket, x.ground+1000)
		keys, missing := append(all[:x.ground:x.ground], victim), all[x.ground:]
		for i := range x.plain {
			keys = append(keys, fmt.Append(nil, "plain ", i))
		}
		var c []Change
		for i, k := range keys {
			c = append(c, Change{Key: k, Value: fmt.Append(nil, i)})
		}
		commit(t, s, 1, c[:len(c)/2])
		commit(t, s, 2, c[len(c)/2:])
		most := 0
		check := func(k []byte, there bool) {
			p := proofOf(t, s, 2, string(k))
			if _, ok, err := p.Verify(s.Root(), testSalt, x.buckets, k); err != nil || ok != there {
				t.Fatalf("%x: %v %v", k, ok, err)
			}
			// as if the tree had as many buckets as a real network's
			most = max(most, len(p.Encode())-len(p.Value)+34*(20-(len(p.Path)-len(p.Branches))))
		}
		for i := 0; i < len(keys); i += 1 + len(keys)/5000 {
			check(keys[i], true)
		}
		check(victim, true)
		for _, k := range missing {
			check(k, false)
		}
		t.Logf("%d keys ground into one of %d buckets, %d others in all: at most %d bytes with 2^20 buckets", x.ground, x.buckets, x.plain, most)
		if most > proofBound {
			t.Errorf("a proof of %d bytes, at most %d", most, proofBound)
		}
	}
}

// A branch costs twice the work of the one above it, and 35 bytes.
func TestADeepBranchCostsItsWork(t *testing.T) {
	const buckets, tries = 2, 1 << 21
	victim := []byte("h")
	h := hashKey(testSalt, victim)
	s, err := Open(NewMemory(), testSalt, buckets)
	if err != nil {
		t.Fatal(err)
	}
	near := map[uint8][]byte{}
	for i := range uint64(tries) {
		k := binary.BigEndian.AppendUint64([]byte("near "), i)
		if other := hashKey(testSalt, k); bucketOf(other, buckets) == bucketOf(h, buckets) {
			near[parts(h, other)] = k
		}
	}
	c := []Change{{Key: victim, Value: []byte("head")}}
	for _, k := range near {
		c = append(c, Change{Key: k})
	}
	commit(t, s, 1, c)
	p := proofOf(t, s, 1, string(victim))
	if len(p.Branches) != len(near) || len(near) < 18 {
		t.Fatalf("%d branches for %d keys ground near the victim", len(p.Branches), len(near))
	}
	if v, ok, err := p.Verify(s.Root(), testSalt, buckets, victim); err != nil || !ok || string(v) != "head" {
		t.Fatalf("%q %v %v", v, ok, err)
	}
	// 2^80 tries would make a branch at each of 80 bits.
	if size := len(p.Encode()) + 34*20 + 35*(80-len(p.Branches)); size > proofBound {
		t.Errorf("2^80 tries make a proof of %d bytes", size)
	}
	for at := range near {
		if v, ok, err := proofOf(t, s, 1, string(near[at])).Verify(s.Root(), testSalt, buckets, near[at]); err != nil || !ok || len(v) > 0 {
			t.Fatalf("the key that parts at bit %d: %q %v %v", at, v, ok, err)
		}
	}
}

// TestAChangeInAFullBucketWritesFewBytes bounds what a block writes for a key.
func TestAChangeInAFullBucketWritesFewBytes(t *testing.T) {
	s, err := Open(NewMemory(), testSalt, 2)
	if err != nil {
		t.Fatal(err)
	}
	const keys = 100_000 // in two buckets
	var c []Change
	for i := range keys {
		c = append(c, Change{Key: fmt.Append(nil, i), Value: []byte{1}})
	}
	commit(t, s, 1, c)
	for i := range 200 {
		one := Change{Key: fmt.Append(nil, i), Value: []byte{2}}
		if i%2 == 0 {
			one = Change{Key: fmt.Append(nil, keys+i), Value: []byte{2}}
		}
		u, err := s.Prepare(unit.Height(2+i), []Change{one})
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, p := range u.pages {
			size += len(p.at) + len(p.now)
		}
		if size > 5000 {
			t.Fatalf("a change of one key of %d writes %d bytes of pages", keys, size)
		}
		if err := s.Commit(u); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedPageIsNeverBuiltUponNorProvenFrom(t *testing.T) {
	kv := NewMemory()
	s := open(t, kv)
	var c []Change
	for i := range 40 * testBuckets {
		c = append(c, Change{Key: fmt.Appendf(nil, "k%d", i), Value: []byte("v")})
	}
	commit(t, s, 0, c)
	for h := range unit.Height(kept) { // what the log of a commit holds, opening writes again
		commit(t, s, h+1, nil)
	}
	for i, damage := range []func([]byte) []byte{
		func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw },
		func(raw []byte) []byte { return nil },
		func(raw []byte) []byte { return raw[:len(raw)-leafBytes] },
	} {
		var at, good []byte
		kv.Each([]byte{letterPage}, func(k, v []byte) error { at, good = k, v; return errFull })
		b := kv.Batch()
		if bad := damage(bytes.Clone(good)); bad == nil {
			b.Delete(at)
		} else {
			b.Set(at, bad)
		}
		b.Commit(true)
		s = open(t, kv)
		hit := 0
		for _, x := range c {
			_, err := s.Prove(kept, x.Key)
			_, err2 := s.Prepare(kept+1, []Change{{Key: x.Key, Value: []byte("w")}})
			if errors.Is(err, ErrCorrupt) != errors.Is(err2, ErrCorrupt) || err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("damage %d: %v, %v", i, err, err2)
			}
			if err != nil {
				hit++
			}
		}
		if hit == 0 || hit > pageLeaves {
			t.Fatalf("damage %d: %d keys cannot be proven", i, hit)
		}
		b = kv.Batch()
		b.Set(at, good)
		b.Commit(true)
	}
}

func TestVersionsInMemoryAreBoundedByTheirBytes(t *testing.T) {
	s := open(t, NewMemory())
	for h := range unit.Height(64) {
		commit(t, s, h, []Change{{Key: []byte("k"), Value: bytes.Repeat([]byte{byte(h)}, maxValue)}})
	}
	if n := len(s.deltas); n < kept || n > 2*memoryBytes/maxValue {
		t.Fatalf("%d versions of 1 MiB each stay in memory", n)
	}
}

func TestAWalkFromAKeyOnSkipsWhatIsBefore(t *testing.T) {
	for name, make := range map[string]func([]Change) Lister{
		"memory": func(c []Change) Lister {
			m := NewMemory()
			(&memoryBatch{of: m, changes: c}).Commit(true)
			return m
		},
		"version": func(c []Change) Lister {
			s := open(t, NewMemory())
			commit(t, s, 1, c[:len(c)/2])
			commit(t, s, 2, c[len(c)/2:])
			at, _ := s.At(2)
			return at
		},
		"version before": func(c []Change) Lister {
			s := open(t, NewMemory())
			commit(t, s, 1, c)
			commit(t, s, 2, []Change{{Key: c[0].Key, Delete: true}, {Key: c[3].Key, Delete: true}, {Key: []byte("b/zz")}})
			at, _ := s.At(1)
			return at
		},
		"overlay": func(c []Change) Lister {
			o := NewOverlay(NewMemory())
			for _, x := range c[:5] {
				o.Set(x.Key, x.Value)
			}
			o.Set([]byte("b/gone"), nil)
			p := NewOverlay(o)
			for _, x := range c[5:] {
				p.Set(x.Key, x.Value)
			}
			p.Delete([]byte("b/gone"))
			return p
		},
	} {
		var c []Change
		keys := []string{"a", "b/", "b/1", "b/1\x00", "b/12", "b/2", "b/\xff", "b/\xff\xff", "b0", "c"}
		for _, k := range keys {
			c = append(c, Change{Key: []byte(k)})
		}
		l := make(c)
		for _, prefix := range []string{"", "a", "b/", "b/1", "d"} {
			for _, after := range append(keys, "", "\x00", "b", "b/11", "b/3", "d") {
				var got, want []string
				for _, k := range keys {
					if bytes.HasPrefix([]byte(k), []byte(prefix)) && (k > after || after == "") {
						want = append(want, k)
					}
				}
				err := l.EachAfter([]byte(prefix), []byte(after), func(k, _ []byte) error { got = append(got, string(k)); return nil })
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %q after %q: %q %v, want %q", name, prefix, after, got, err, want)
				}
			}
		}
	}
}
