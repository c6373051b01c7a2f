package kv

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func set(t testing.TB, db *DB, kv ...string) {
	t.Helper()
	b := db.Batch()
	for i := 0; i < len(kv); i += 2 {
		b.Set([]byte(kv[i]), []byte(kv[i+1]))
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
}

func TestABatchIsAllOrNothing(t *testing.T) {
	db := open(t, Small)
	set(t, db, "a", "1", "b", "2")
	b := db.Batch()
	b.Set([]byte("c"), []byte("3"))
	b.Delete([]byte("a"))
	b.Set(nil, []byte("an empty key is refused"))
	if err := b.Commit(true); err == nil {
		t.Error("committed")
	}
	b = db.Batch()
	b.Set([]byte("c"), []byte("3"))
	b.Set([]byte("big"), make([]byte, MaxSmallValue+1))
	if err := b.Commit(true); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large value: %v", err)
	}
	b = db.Batch()
	for i := range 20 {
		b.Set(fmt.Appendf(nil, "c%d", i), make([]byte, MaxSmallValue/2))
	}
	if err := b.Commit(true); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large batch: %v", err)
	}
	if got := all(t, db); got != "a=1 b=2 " {
		t.Errorf("there is %s", got)
	}
	for i := range 20 {
		b.Set(fmt.Appendf(nil, "c%d", i), make([]byte, MaxSmallValue/2))
	}
	if err := b.CommitParts(true); err != nil {
		t.Errorf("in parts: %v", err)
	}
	if _, ok, err := db.Get([]byte("c19")); !ok || err != nil {
		t.Errorf("after parts: %v %v", ok, err)
	}
}

func all(t testing.TB, db *DB) string {
	t.Helper()
	var s strings.Builder
	if err := db.Each(nil, func(k, v []byte) error {
		fmt.Fprintf(&s, "%s=%s ", k, v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func TestAnEmptyValueIsThere(t *testing.T) {
	for _, p := range []Profile{Small, Large} {
		db := open(t, p)
		set(t, db, "empty", "")
		v, ok, err := db.Get([]byte("empty"))
		if !ok || err != nil || v == nil || len(v) != 0 {
			t.Errorf("%q %v %v", v, ok, err)
		}
		if v, ok, err := db.Get([]byte("none")); ok || err != nil || v != nil {
			t.Errorf("%q %v %v", v, ok, err)
		}
	}
}

func TestWhatIsCommittedWithoutSyncIsReadAtOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	db := openAt(t, dir, Small)
	key := []byte("k")
	for i := range 200 {
		b := db.Batch()
		value := fmt.Appendf(nil, "%d", i)
		b.Set(key, value)
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
		copy(value, "changed") // a batch without sync keeps nothing of the caller's
		if v, _, err := db.Get(key); err != nil || string(v) != fmt.Sprint(i) {
			t.Fatalf("read %q after writing %d: %v", v, i, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, openAt(t, dir, Small)); got != "k=199 " {
		t.Errorf("after reopening: %s", got)
	}
}

func TestAViewSeesOneState(t *testing.T) {
	db := open(t, Small)
	set(t, db, "a", "1", "b", "1")
	err := db.View(func(r Reader) error {
		set(t, db, "a", "2", "c", "2")
		a, _, err := r.Get([]byte("a"))
		if err != nil || string(a) != "1" {
			t.Errorf("a is %q, %v", a, err)
		}
		if has, err := r.Has([]byte("c")); has || err != nil {
			t.Errorf("c: %v, %v", has, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := all(t, db); got != "a=2 b=1 c=2 " {
		t.Errorf("afterwards: %s", got)
	}
}

// The iterator against a sorted list, over every pair of bounds.
func TestIteratorsWalkTheRangeBothWays(t *testing.T) {
	db := open(t, Small)
	keys := []string{"a", "ab", "abc", "b", "c\x00", "c\x00\xff", "d"}
	for _, k := range keys {
		set(t, db, k, "v"+k)
	}
	bounds := []string{"", "a", "aa", "ab", "b", "c", "c\x00\xff", "d", "zz"}
	bound := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	for _, start := range bounds {
		for _, end := range bounds {
			for _, reverse := range []bool{false, true} {
				var want, got []string
				for _, k := range keys {
					if (start == "" || k >= start) && (end == "" || k < end) {
						want = append(want, k)
					}
				}
				if reverse {
					slices.Reverse(want)
				}
				it := db.Iterate(bound(start), bound(end), reverse)
				for ; it.Valid(); it.Next() {
					if string(it.Value()) != "v"+string(it.Key()) {
						t.Errorf("%q has %q", it.Key(), it.Value())
					}
					got = append(got, string(it.Key()))
				}
				if err := it.Close(); err != nil || it.Error() != nil {
					t.Error(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("[%q, %q) reverse %v: %q, want %q", start, end, reverse, got, want)
				}
			}
		}
	}
}

func TestPrefixesAndStarts(t *testing.T) {
	db := open(t, Large)
	set(t, db, "a1", "x", "a2", "y", "a3", strings.Repeat("z", 1000), "b1", "w")
	var got []string
	err := db.View(func(r Reader) error {
		if err := r.From([]byte("a"), []byte("a2"), func(k, v []byte) error {
			got = append(got, fmt.Sprintf("%s:%d", k, len(v)))
			return nil
		}); err != nil {
			return err
		}
		return r.KeysFrom([]byte("a"), []byte("a3"), func(k []byte) error {
			got = append(got, string(k))
			return nil
		})
	})
	if err != nil || !slices.Equal(got, []string{"a2:1", "a3:1000", "a3"}) {
		t.Errorf("%v, %v", got, err)
	}
	stop := errors.New("stop")
	if err := db.EachKey(nil, func([]byte) error { return stop }); err != stop {
		t.Errorf("%v", err)
	}
}

func TestAfterCloseEverythingSaysSo(t *testing.T) {
	db, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	set(t, db, "a", "1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				if _, _, err := db.Get([]byte("a")); errors.Is(err, ErrClosed) {
					return
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	b := db.Batch()
	b.Set([]byte("a"), nil)
	if err := b.Commit(true); !errors.Is(err, ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	it := db.Iterate(nil, nil, true)
	if it.Valid() || !errors.Is(it.Error(), ErrClosed) || !errors.Is(it.Close(), ErrClosed) {
		t.Errorf("iterator: %v", it.Error())
	}
	if err := db.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// Badger reports a value log that it could not sync to its logger only.
func TestAFailedSyncIsNotAcknowledged(t *testing.T) {
	db, err := Open(Options{Dir: t.TempDir(), Profile: Large})
	if err != nil {
		t.Fatal(err)
	}
	set(t, db, "a", "1")
	db.watch.Errorf("harmless")
	if db.Failing() != nil {
		t.Fatal("failing after a harmless message")
	}
	db.b.Opts().Logger.Errorf("Error while curlf sync: %v\n", syscall.EIO)
	b := db.Batch()
	b.Set([]byte("b"), bytes.Repeat([]byte("b"), 5000))
	if err := b.Commit(true); !errors.Is(err, ErrFailing) {
		t.Errorf("commit: %v", err)
	}
	if !errors.Is(db.Failing(), ErrFailing) || !strings.Contains(db.Failing().Error(), "input/output error") {
		t.Errorf("failing: %v", db.Failing())
	}
	if got := all(t, db); got != "a=1 " {
		t.Errorf("there is %s", got)
	}
	if err := db.Close(); !errors.Is(err, ErrFailing) {
		t.Errorf("close: %v", err)
	}
}
