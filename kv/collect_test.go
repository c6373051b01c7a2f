package kv

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"github.com/walrus-network/walrus/internal/testlevel"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// randomValue is n incompressible bytes that are a function of seed.
func randomValue(seed uint64, n int) []byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

func itemKey(i int) []byte { return fmt.Appendf(nil, "k%08d", (i*2654435761)%100_000_007) }

func fillValues(t testing.TB, db *DB, n, size int) {
	t.Helper()
	b := db.Batch()
	for i := range n {
		b.Set(itemKey(i), randomValue(uint64(i), size))
		if b.Bytes() > 8<<20 || i == n-1 {
			if err := b.Commit(true); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func deleteValues(t testing.TB, db *DB, n, keepEvery int) {
	t.Helper()
	b := db.Batch()
	for _, i := range rand.Perm(n) {
		if i%keepEvery != 0 {
			b.Delete(itemKey(i))
		}
		if b.Len() == 1000 {
			if err := b.Commit(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
}

func TestCollectGivesSpaceBack(t *testing.T) {
	db := open(t, Large)
	const n, size, keepEvery = 2400, 64 << 10, 10
	fillValues(t, db, n, size)
	full, err := db.DiskUsage()
	if err != nil {
		t.Fatal(err)
	}
	deleteValues(t, db, n, keepEvery)
	freed, err := db.Collect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	used, err := db.DiskUsage()
	if err != nil {
		t.Fatal(err)
	}
	live := int64(n / keepEvery * size)
	t.Logf("full %d, used %d, live %d (%.2f), freed %d", full, used, live, float64(used)/float64(live), freed)
	if used > live*3/2 {
		t.Errorf("after one collection %d bytes are used for %d live ones", used, live)
	}
	for i := range n {
		v, ok, err := db.Get(itemKey(i))
		if err != nil {
			t.Fatal(err)
		}
		if want := i%keepEvery == 0; ok != want {
			t.Fatalf("key %d: there %v, want %v", i, ok, want)
		} else if ok && string(v) != string(randomValue(uint64(i), size)) {
			t.Fatalf("key %d has another value", i)
		}
	}
}

// A crash while a log is rewritten, or a lost file, leaves garbage that is not counted.
func TestGarbageThatIsNotCountedIsFoundAfterARestart(t *testing.T) {
	dir := t.TempDir()
	const n, size, keepEvery = 3600, 64 << 10, 20
	db, err := Open(Options{Dir: dir, Profile: Large})
	if err != nil {
		t.Fatal(err)
	}
	fillValues(t, db, n, size)
	deleteValues(t, db, n, keepEvery)
	if err := errors.Join(db.flatten(), db.Close(), os.Remove(filepath.Join(dir, discardFile))); err != nil {
		t.Fatal(err)
	}
	var used int64
	for range 2 {
		if db, err = Open(Options{Dir: dir, Profile: Large}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Collect(context.Background()); err != nil {
			t.Fatal(err)
		}
		if used, err = db.DiskUsage(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, ok, err := db.Get(itemKey(i)); err != nil || ok != (i%keepEvery == 0) {
				t.Fatalf("key %d: %v, %v", i, ok, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if live := int64(n / keepEvery * size); used > live*3/2 {
		t.Errorf("%d bytes are used for %d live ones", used, live)
	}
}

const childEnv = "WALRUS_KV_TEST_CHILD"

// runChild puts, deletes and collects without end, and says on its output which
// changes were acknowledged. The parent kills it.
func runChild(dir string) {
	db, err := Open(Options{Dir: dir, Profile: Large})
	if err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	first, _ := strconv.Atoi(os.Getenv(childEnv + "_FIRST"))
	var out sync.Mutex
	say := func(what string, from, to int) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, from, to)
	}
	const group = 8
	const writers = 4
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := first + w*group; ; i += writers * group {
				b := db.Batch()
				for j := range group {
					b.Set(itemKey(i+j), randomValue(uint64(i+j), 8<<10))
				}
				if err := b.Commit(true); err != nil {
					say("fail "+err.Error(), 0, 0)
					return
				}
				say("put", i, i+group)
				if (i/group)%10 == 0 {
					continue
				}
				b = db.Batch()
				for j := range group {
					b.Delete(itemKey(i + j))
				}
				say("deleting", i, i+group)
				if err := b.Commit(true); err != nil {
					say("fail "+err.Error(), 0, 0)
					return
				}
				say("deleted", i, i+group)
			}
		})
	}
	for {
		if _, err := db.Collect(context.Background()); err != nil {
			say("fail "+err.Error(), 0, 0)
		}
		say("collected", 0, 0)
	}
}

// A child races puts, deletions and collections and is killed in the middle: what
// it acknowledged is what is there afterwards.
func TestNothingIsLostOrReturnsWhenCollectionIsKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	want := map[int]string{}
	collected := 0
	rounds := testlevel.Repeat(1, 3, 3)
	for round, first := 0, 0; round < rounds; round++ {
		first, collected = killChild(t, dir, first, want, collected)
		db, err := Open(Options{Dir: dir, Profile: Large})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, db, want)
		if round == rounds-1 {
			if _, err := db.Collect(context.Background()); err != nil {
				t.Fatal(err)
			}
			compare(t, db, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d keys, %d collections", len(want), collected)
	if collected == 0 {
		t.Error("no collection was raced")
	}
}

func killChild(t *testing.T, dir string, first int, want map[int]string, collected int) (next, total int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_FIRST="+strconv.Itoa(first))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, seen := 0, 0
	next = first
	for s := bufio.NewScanner(out); s.Scan(); {
		f := strings.Fields(s.Text())
		if f[0] == "fail" {
			t.Errorf("child: %s", s.Text())
			break
		}
		from, _ := strconv.Atoi(f[1])
		to, _ := strconv.Atoi(f[2])
		if f[0] == "collected" {
			collected++
			seen++
		}
		for i := from; i < to; i++ {
			want[i] = f[0]
			next = max(next, i+1)
		}
		if lines++; lines > 300 && seen > 1 {
			cmd.Process.Kill() // what it still says was acknowledged before
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	return next + 8, collected // the group that was under way may be there or not
}

func compare(t *testing.T, db *DB, want map[int]string) {
	t.Helper()
	for i, state := range want {
		v, ok, err := db.Get(itemKey(i))
		if err != nil {
			t.Fatal(err)
		}
		if ok && string(v) != string(randomValue(uint64(i), 8<<10)) {
			t.Fatalf("key %d has another value", i)
		}
		if state == "put" && !ok {
			t.Errorf("key %d was acknowledged and is lost", i)
		}
		if state == "deleted" && ok {
			t.Errorf("key %d was deleted and is back", i)
		}
	}
}

func TestCollectStopsWhenToldTo(t *testing.T) {
	db := open(t, Large)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Collect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("collect after cancel: %v", err)
	}
	if _, err := open(t, Small).Collect(context.Background()); !errors.Is(err, ErrSmall) {
		t.Errorf("collect of a small database: %v", err)
	}
}

// BenchmarkCollect deletes 90 % of 1 GB and reports how long giving it back takes,
// and what is left in relation to what is live.
func BenchmarkCollect(b *testing.B) {
	const n, size, keepEvery = 16000, 64 << 10, 10
	for b.Loop() {
		b.StopTimer()
		db, err := Open(Options{Dir: b.TempDir(), Profile: Large})
		if err != nil {
			b.Fatal(err)
		}
		fillValues(b, db, n, size)
		deleteValues(b, db, n, keepEvery)
		b.StartTimer()
		began := time.Now()
		if _, err := db.Collect(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/collect")
		used, err := db.DiskUsage()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(used)/float64(n/keepEvery*size), "used/live")
		db.Close()
	}
}
