package blobs

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/walrus-network/walrus/client"
)

// Pieces go into the cache when no run fetches, when one needs the memory that they have, and
// after their time in any case; in order.
func TestPiecesWaitForFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards written
		var written []int64
		b := newBacklog(func(f *flight, _ parts) {
			mu.Lock()
			defer mu.Unlock()
			written = append(written, f.offset)
		})
		add := func(offset int64) {
			b.add(&flight{piece: piece{offset: offset}}, nil, func(write func()) { go write() })
		}
		want := func(what string, n int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(written) != n {
				t.Errorf("%s: %d pieces are written, want %d", what, len(written), n)
			}
		}
		add(0)
		want("nothing fetches", 1)
		b.change(1, 0)
		add(1)
		add(2)
		want("a run fetches", 1)
		b.change(1, 0)
		b.change(-1, 0)
		want("one of two has ended", 1)
		b.change(0, 1)
		want("memory is short", 3)
		b.change(0, -1)
		add(3)
		time.Sleep(putDelay / 2) // in virtual time
		add(4)
		want("half of its time", 3)
		time.Sleep(putDelay/2 + time.Millisecond) // in virtual time
		want("its time", 4)
		b.change(-1, 0)
		want("nothing fetches any more", 5)
		for i, offset := range written {
			if int64(i) != offset {
				t.Errorf("%v", written)
			}
		}
	})
}

// opened counts how often a source is opened.
type opened struct {
	client.Source
	times *atomic.Int64
}

func (o opened) Open(offset int64) (io.ReadCloser, error) {
	o.times.Add(1)
	return o.Source.Open(offset)
}

// The bytes of a store are in the cache when it is answered, whole, and are read for that only
// where they are not there.
func TestAStoreWarmsTheCacheOnce(t *testing.T) {
	g := newRig(t, nil)
	g.w.o.Reader = g.r
	var times atomic.Int64
	src := opened{bytesOf(3<<20, 60), &times}
	for i, most := range []int64{4, 1} { // the ID, the upload, the cache, and what is looked at once more
		times.Store(0)
		out, err := g.w.Store(t.Context(), src, client.StoreOptions{Epochs: 2})
		if err != nil {
			t.Fatal(err)
		}
		b, err := g.r.Find(t.Context(), out.ID)
		if err != nil {
			t.Fatal(err)
		}
		for offset := int64(0); offset < b.Size; {
			p := b.pieceAt(offset)
			if !g.r.cache.has(p) {
				t.Errorf("store %d: the piece at %d is not in the cache", i, offset)
			}
			offset += p.length
		}
		if n := times.Load(); n > most {
			t.Errorf("store %d opened its source %d times", i, n)
		}
	}
}

// What a read fetched stays out of the cache until the read has passed it on: its end counts, and
// not only that of the fetch.
func TestTheCacheWaitsForReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := openCache("", 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &Reader{o: ReaderOptions{Memory: 1}, cache: c, memory: semaphore.NewWeighted(1), flights: map[piece]*flight{}, ctx: t.Context()}
		r.backlog = newBacklog(r.put)
		if !r.memory.TryAcquire(1) { // so that no fetch begins
			t.Fatal("no memory")
		}
		want := func(what string, n int) {
			t.Helper()
			synctest.Wait()
			r.backlog.mu.Lock()
			defer r.backlog.mu.Unlock()
			if r.backlog.fetching != n {
				t.Errorf("%s: %d, want %d", what, r.backlog.fetching, n)
			}
		}
		v := &visit{r: r, b: &Blob{}, holds: map[piece]*flight{}}
		want("nothing is read", 0)
		v.hold(piece{length: 10})
		want("a run and its visit", 2)
		v.hold(piece{offset: 10, length: 10})
		want("two runs of one visit", 3)
		for _, f := range v.holds {
			f.run.cancel()
		}
		want("the runs have ended", 1)
		v.leave()
		want("the visit has left", 0)
	})
}
