package state

import (
	"bytes"
	"errors"
	"fmt"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/unit"
	"math/rand"
	"sort"
	"strings"
	"sync"
	"testing"
)

var testSalt = [32]byte{7}

const testBuckets = 16

func open(t testing.TB, kv KV) *State {
	t.Helper()
	s, err := Open(kv, testSalt, testBuckets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func commit(t testing.TB, s *State, height unit.Height, changes []Change) {
	t.Helper()
	u, err := s.Prepare(height, changes)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(u); err != nil {
		t.Fatal(err)
	}
	if s.Root() != u.Root() || s.Height() != height {
		t.Fatalf("height %d root %s, want %d %s", s.Height(), s.Root(), height, u.Root())
	}
}

// model is what a state should hold at a height.
type model map[string]string

func (m model) clone() model {
	out := model{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// mutate makes a random change set and applies it.
func (m model) mutate(r *rand.Rand) []Change {
	seen := map[string]bool{}
	var out []Change
	for range 1 + r.Intn(20) {
		k := fmt.Sprintf("%c/%d", 'a'+byte(r.Intn(3)), r.Intn(40))
		if seen[k] {
			continue
		}
		seen[k] = true
		if r.Intn(3) == 0 {
			delete(m, k)
			out = append(out, Change{Key: []byte(k), Delete: true})
			continue
		}
		m[k] = fmt.Sprint(r.Intn(5))
		out = append(out, Change{Key: []byte(k), Value: []byte(m[k])})
	}
	return out
}

// check compares a lister and the proofs of a height with the model.
func (m model) check(t *testing.T, s *State, height unit.Height) {
	t.Helper()
	at, err := s.At(height)
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.RootAt(height)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 45 {
		for _, letter := range "abc" {
			k := fmt.Sprintf("%c/%d", letter, i)
			want, there := m[k]
			got, ok, err := at.Get([]byte(k))
			if err != nil || ok != there || string(got) != want {
				t.Fatalf("height %d: %s = %q %v %v, want %q %v", height, k, got, ok, err, want, there)
			}
			p, err := s.Prove(height, []byte(k))
			if err != nil {
				t.Fatal(err)
			}
			back, err := DecodeProof(p.Encode())
			if err != nil {
				t.Fatal(err)
			}
			got, ok, err = back.Verify(root, testSalt, testBuckets, []byte(k))
			if err != nil || ok != there || string(got) != want {
				t.Fatalf("height %d: proof of %s = %q %v %v, want %q %v", height, k, got, ok, err, want, there)
			}
		}
	}
	for _, prefix := range []string{"", "a", "b/", "c/1", "d"} {
		var want, got []string
		for k, v := range m {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k+"="+v)
			}
		}
		sort.Slice(want, func(i, j int) bool { return strings.Split(want[i], "=")[0] < strings.Split(want[j], "=")[0] })
		err := at.Each([]byte(prefix), func(k, v []byte) error {
			got = append(got, string(k)+"="+string(v))
			return nil
		})
		if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("height %d: each %q = %v %v, want %v", height, prefix, got, err, want)
		}
	}
}

func TestThreeVersionsCanBeReadAndProvenAlsoAfterOpening(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	kv := NewMemory()
	s := open(t, kv)
	now := model{}
	versions := map[unit.Height]model{}
	for h := unit.Height(0); h < 60; h++ {
		changes := now.mutate(r)
		commit(t, s, h, changes)
		versions[h] = now.clone()
		if r.Intn(4) == 0 {
			s = open(t, kv)
		}
		for back := uint64(0); unit.Height(back) <= min(h, kept); back++ {
			versions[h.Minus(back)].check(t, s, h.Minus(back))
		}
	}
	s = open(t, kv)
	for _, h := range []unit.Height{60, 59 - kept - 1} {
		if _, err := s.At(h); !errors.Is(err, ErrHeight) {
			t.Errorf("height %d: %v", h, err)
		}
	}
	var logs int
	kv.Each([]byte{letterLog}, func(k, _ []byte) error { logs++; return nil })
	if logs != 2*kept {
		t.Errorf("%d log values are kept, want %d", logs, 2*kept)
	}
}

func TestTheRootDependsOnTheContentAlone(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	s := open(t, NewMemory())
	now := model{}
	for h := unit.Height(1); h <= 30; h++ {
		commit(t, s, h, now.mutate(r))
	}
	var whole []Change
	for k, v := range now {
		whole = append(whole, Change{Key: []byte(k), Value: []byte(v)})
	}
	other := open(t, NewMemory())
	commit(t, other, 1, whole)
	if s.Root() != other.Root() {
		t.Fatal("two ways to one content give two roots")
	}
	other = open(t, NewMemory())
	for i, c := range whole {
		commit(t, other, unit.Height(i), []Change{c})
	}
	for i := range whole {
		commit(t, other, unit.Height(len(whole)+i), []Change{{Key: whole[i].Key, Delete: true}})
	}
	if other.Root() != open(t, NewMemory()).Root() {
		t.Fatal("a state that was emptied has not the root of an empty one")
	}
}

// brittle is a KV that fails from its n-th commit of a batch on, before or after
// that batch reached the disk.
type brittle struct {
	*Memory
	left  int
	after bool
}

var errBrittle = errors.New("the disk is gone")

func (b *brittle) Batch() Batch { return &brittleBatch{b.Memory.Batch(), b} }

type brittleBatch struct {
	Batch
	of *brittle
}

func (b *brittleBatch) Commit(sync bool) error {
	b.of.left--
	if b.of.left < 0 || b.of.left == 0 && !b.of.after {
		return errBrittle
	}
	if err := b.Batch.Commit(sync); err != nil {
		return err
	}
	if b.of.left == 0 {
		return errBrittle
	}
	return nil
}

// TestACrashBetweenAnyTwoWritesLeavesAllOrNothing cuts a commit that takes many
// batches at every one of them, both ways, and opens again.
func TestACrashBetweenAnyTwoWritesLeavesAllOrNothing(t *testing.T) {
	for _, buckets := range []int{testBuckets, 1 << 12}[:testlevel.Repeat(1, 2, 2)] { // of many pages, and of one
		crashBetweenAnyTwoWrites(t, buckets)
	}
}

func crashBetweenAnyTwoWrites(t *testing.T, buckets int) {
	open := func(t testing.TB, kv KV) *State {
		t.Helper()
		s, err := Open(kv, testSalt, buckets)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	big := func(seed byte) []Change {
		var out []Change
		for i := range 700 {
			out = append(out, Change{Key: fmt.Appendf(nil, "k%d", i), Value: bytes.Repeat([]byte{seed, byte(i)}, 700)})
		}
		return append(out, Change{Key: []byte{seed}, Value: []byte{seed}})
	}
	for _, first := range []bool{true, false} {
		for n := 1; ; n++ {
			done := false
			for _, after := range []bool{false, true} {
				kv := &brittle{Memory: NewMemory(), left: 1 << 30, after: after}
				s := open(t, kv)
				height := unit.Height(5)
				if !first {
					commit(t, s, height, big(1))
					height++
				}
				old, oldRoot := s.Height(), s.Root()
				u, err := s.Prepare(height, big(2))
				if err != nil {
					t.Fatal(err)
				}
				kv.left = n
				err = s.Commit(u)
				if err == nil {
					done = true
					break
				}
				if !errors.Is(err, errBrittle) {
					t.Fatal(err)
				}
				if _, err := s.Prepare(height, nil); err == nil {
					t.Fatal("a state whose commit failed goes on")
				}
				kv.left = 1 << 30
				s = open(t, kv)
				switch {
				case s.Height() == height && s.Root() == u.Root() && !s.Empty():
				case s.Height() == old && s.Root() == oldRoot && s.Empty() == first:
					commit(t, s, height, big(2))
				case first && s.Empty() && s.Root() == oldRoot:
					commit(t, s, height, big(2))
				default:
					t.Fatalf("batch %d after %v: height %d root %s", n, after, s.Height(), s.Root())
				}
				if s.Root() != u.Root() {
					t.Fatalf("batch %d after %v: root %s, want %s", n, after, s.Root(), u.Root())
				}
				if !first {
					root, err := s.RootAt(height - 1)
					if err != nil || root != oldRoot {
						t.Fatalf("batch %d: version before: %s %v", n, root, err)
					}
				}
			}
			if done {
				if n < 8 {
					t.Fatalf("the commit took %d batches: too few to show anything", n-1)
				}
				break
			}
		}
	}
}

// forgetful is a KV that remembers the order of its batches, so that a crash can
// lose any of those after the last that was synced.
type forgetful struct {
	*Memory
	batches [][]Change
	synced  int
}

func (f *forgetful) Batch() Batch { return &forgetfulBatch{memoryBatch{of: f.Memory}, f} }

type forgetfulBatch struct {
	memoryBatch
	in *forgetful
}

func (b *forgetfulBatch) Commit(sync bool) error {
	if b.in.batches = append(b.in.batches, b.changes); sync {
		b.in.synced = len(b.in.batches)
	}
	return b.memoryBatch.Commit(sync)
}

// after is what is left when the batches from the n-th on are lost.
func (f *forgetful) after(n int) *Memory {
	m := NewMemory()
	for _, changes := range f.batches[:n] {
		(&memoryBatch{of: m, changes: changes}).Commit(false)
	}
	return m
}

func TestACommitThatReturnedSurvivesTheLossOfAllThatWasNotSynced(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	kv := &forgetful{Memory: NewMemory()}
	s := open(t, kv)
	now := model{}
	for h := range unit.Height(12) {
		before := now.clone()
		commit(t, s, h, now.mutate(r))
		if kv.synced == len(kv.batches) {
			t.Fatal("nothing was left unsynced: this shows nothing")
		}
		for n := kv.synced; n <= len(kv.batches); n++ {
			back := open(t, kv.after(n))
			if back.Height() != h || back.Root() != s.Root() {
				t.Fatalf("height %d of %d after losing %d batches", back.Height(), h, len(kv.batches)-n)
			}
			now.check(t, back, h)
			if h > 0 {
				before.check(t, back, h-1)
			}
		}
	}
}

func TestReadersOfAVersionSeeItWhileCommitsGoOn(t *testing.T) {
	s := open(t, NewMemory())
	value := func(h unit.Height) []Change {
		var out []Change
		for i := range 50 {
			out = append(out, Change{Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Append(nil, h)})
		}
		return out
	}
	commit(t, s, 0, value(0))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				h := s.Height()
				release, err := s.Hold(h)
				if errors.Is(err, ErrHeight) {
					continue
				}
				at, _ := s.At(h)
				n := 0
				err = at.Each([]byte("k"), func(k, v []byte) error {
					if n++; string(v) != fmt.Sprint(h) {
						return fmt.Errorf("height %d: %s is %s", h, k, v)
					}
					return nil
				})
				if err == nil {
					var v []byte
					if v, _, err = at.Get([]byte("k7")); err == nil && string(v) != fmt.Sprint(h) {
						err = fmt.Errorf("height %d: k7 is %s", h, v)
					}
				}
				release()
				if err != nil || n != 50 {
					t.Errorf("%d keys: %v", n, err)
					return
				}
			}
		}()
	}
	for h := unit.Height(1); h < 300; h++ {
		commit(t, s, h, value(h))
	}
	close(stop)
	wg.Wait()
}

func TestAHeldVersionOutlivesTheMemoryBound(t *testing.T) {
	s := open(t, NewMemory())
	for h := range unit.Height(10) {
		commit(t, s, h, []Change{{Key: []byte("k"), Value: fmt.Append(nil, h)}})
	}
	release, err := s.Hold(8)
	if err != nil {
		t.Fatal(err)
	}
	for h := unit.Height(10); h < 10+2*memoryKept; h++ {
		commit(t, s, h, []Change{{Key: []byte("k"), Value: fmt.Append(nil, h)}})
	}
	at, err := s.At(8)
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := at.Get([]byte("k")); err != nil || string(v) != "8" {
		t.Fatalf("%s %v", v, err)
	}
	release()
	release()
	if _, _, err := at.Get([]byte("k")); !errors.Is(err, ErrHeight) {
		t.Fatalf("after release: %v", err)
	}
	if len(s.deltas) > memoryKept {
		t.Fatalf("%d versions stay in memory", len(s.deltas))
	}
}

func TestAForeignOrDamagedDirectoryIsRefused(t *testing.T) {
	kv := NewMemory()
	s := open(t, kv)
	for h := range unit.Height(5) {
		commit(t, s, h, []Change{{Key: fmt.Append(nil, "k", h), Value: []byte("v")}})
	}
	if _, err := Open(kv, [32]byte{8}, testBuckets); err == nil {
		t.Error("another chain's state was opened")
	}
	if _, err := Open(kv, testSalt, 2*testBuckets); err == nil {
		t.Error("a state with another number of buckets was opened")
	}
	b := kv.Batch()
	b.Delete(bucketKey(BucketOf(testSalt, testBuckets, []byte("k0"))))
	b.Commit(true)
	if _, err := Open(kv, testSalt, testBuckets); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged state was opened: %v", err)
	}
	if _, err := Open(NewMemory(), testSalt, 12); err == nil {
		t.Error("12 buckets were taken")
	}
}

func TestChangesThatNoStateCanHoldAreRefused(t *testing.T) {
	s := open(t, NewMemory())
	for name, c := range map[string][]Change{
		"empty key": {{Value: []byte{1}}}, "long key": {{Key: make([]byte, maxKey+1)}}, "long value": {{Key: []byte{1}, Value: make([]byte, maxValue+1)}},
		"twice": {{Key: []byte{1}}, {Key: []byte{1}, Delete: true}}, "delete with a value": {{Key: []byte{1}, Value: []byte{1}, Delete: true}},
	} {
		if _, err := s.Prepare(1, c); !errors.Is(err, ErrChange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	commit(t, s, 1, nil)
	if _, err := s.Prepare(3, nil); !errors.Is(err, ErrHeight) {
		t.Errorf("a height was left out: %v", err)
	}
	u, err := s.Prepare(2, []Change{{Key: []byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, 2, []Change{{Key: []byte{2}}})
	if err := s.Commit(u); !errors.Is(err, ErrHeight) {
		t.Errorf("an update for another state was committed: %v", err)
	}
}
