package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

func bytesOf(n int, seed byte) world.Bytes {
	b := make(world.Bytes, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// rig is a network with a reader and a writer.
type rig struct {
	*world.World
	r *Reader
	w *Writer
	c *client.Client
}

func newRig(t *testing.T, change func(*ReaderOptions)) *rig {
	t.Helper()
	n := world.New(t, 4, 10)
	o := DefaultReader(t.TempDir())
	if change != nil {
		change(&o)
	}
	c := n.Client()
	r, err := NewReader(c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &rig{n, r, NewWriter(c, n.Wallet, WriterOptions{AtOnce: 4, Waiting: 4, Limit: time.Minute}), c}
}

func (g *rig) store(t *testing.T, b world.Bytes) *Blob {
	t.Helper()
	out, err := g.w.Store(t.Context(), b, client.StoreOptions{Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	found, err := g.r.Find(t.Context(), out.ID)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (g *rig) read(t *testing.T, b *Blob, offset, length int64, want []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := g.r.ReadRange(t.Context(), b, offset, length, &got); err != nil {
		t.Fatalf("bytes %d to %d of %d: %v", offset, offset+length, b.Size, err)
	}
	if !bytes.Equal(got.Bytes(), want[offset:offset+length]) {
		t.Fatalf("bytes %d to %d of %d: %d other bytes came", offset, offset+length, b.Size, got.Len())
	}
}

// Ranges of all kinds are exact, the first time and from the cache, and the second time
// nothing is fetched.
func TestRangesAreExactAndFetchedOnce(t *testing.T) {
	g := newRig(t, nil)
	data := bytesOf(3_000_000, 1) // stripes of 28 symbols of 16 KiB: seven, the last short
	b := g.store(t, data)
	stripe := b.pieceAt(0).length
	for _, c := range [][2]int64{{0, 1}, {0, b.Size}, {b.Size - 1, 1}, {0, 0}, {b.Size, 0}, {stripe - 10, 20}, {stripe / 3, 2 * stripe},
		{stripe, stripe}, {100_000, 10_000}, {1, b.Size - 2}} {
		g.read(t, b, c[0], c[1], data)
		before := g.c.Received()
		g.read(t, b, c[0], c[1], data)
		if g.c.Received() != before {
			t.Errorf("bytes %d to %d were fetched twice", c[0], c[0]+c[1])
		}
	}
	for _, c := range [][2]int64{{-1, 1}, {0, b.Size + 1}, {b.Size + 1, 0}, {0, -1}, {1, 1<<63 - 1}} {
		if err := g.r.ReadRange(t.Context(), b, c[0], c[1], io.Discard); !errors.Is(err, fetch.ErrRange) {
			t.Errorf("bytes %d to %d: %v", c[0], c[1], err)
		}
	}
}

// A short range costs the symbols under it, not a stripe.
func TestAShortRangeCostsItsSymbols(t *testing.T) {
	g := newRig(t, nil)
	data := bytesOf(3_000_000, 2)
	b := g.store(t, data)
	before := g.c.Received()
	g.read(t, b, 300_000, 10_000, data)
	if got := g.c.Received() - before; got > 3*16384+5000 {
		t.Errorf("10,000 bytes cost %d", got)
	}
}

// Without a cache, and with one too small for a stripe, bytes come all the same.
func TestACacheThatHoldsNothing(t *testing.T) {
	for _, most := range []int64{0, 100_000} {
		g := newRig(t, func(o *ReaderOptions) { o.MaxBytes = most })
		data := bytesOf(3_000_000, 3)
		b := g.store(t, data)
		g.read(t, b, 0, b.Size, data)
		g.read(t, b, 500_000, 2_000_000, data)
		if got := g.r.Stats().CacheBytes; got > most {
			t.Errorf("the cache has %d bytes, at most %d", got, most)
		}
	}
}

// Readers of the same bytes at the same time cost one fetch, and the memory is given back.
func TestManyReadersCostOneFetch(t *testing.T) {
	g := newRig(t, func(o *ReaderOptions) { o.Memory = 2 << 20 })
	data := bytesOf(8_000_000, 4)
	b := g.store(t, data)
	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() { g.read(t, b, 0, b.Size, data) })
	}
	readers.Wait()
	if got := g.c.Received(); got > b.Size*5/4 {
		t.Errorf("20 readers of %d bytes cost %d", b.Size, got)
	}
	g.r.Close()
	if !g.r.memory.TryAcquire(2 << 20) {
		t.Error("memory was not given back")
	}
}

// slow takes its time with each write.
type slow struct{ ctx context.Context }

func (s slow) Write(b []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(3 * time.Second):
		return len(b), nil
	}
}

// Slow readers, and those that hang up, keep no fast one waiting, though the memory is small.
func TestSlowReadersKeepNobodyWaiting(t *testing.T) {
	g := newRig(t, func(o *ReaderOptions) { o.Memory = 1 << 20; o.MaxBytes = 64 << 20 })
	a, data := g.store(t, bytesOf(8_000_000, 5)), bytesOf(8_000_000, 6)
	b := g.store(t, data)
	ctx, hangUp := context.WithCancel(t.Context())
	var slows sync.WaitGroup
	for range 50 {
		slows.Go(func() { g.r.ReadRange(ctx, a, 0, a.Size, slow{ctx}) })
	}
	time.Sleep(200 * time.Millisecond) // they read
	done := make(chan struct{})
	go func() { defer close(done); g.read(t, b, 0, b.Size, data) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("a fast reader waits for slow ones")
	}
	hangUp()
	slows.Wait()
}

// A file of the cache that the disk has changed is fetched again; files that were not
// finished, and what is not the cache's, are removed when it opens; what is good stays.
func TestADamagedCacheChangesNoByte(t *testing.T) {
	dir := t.TempDir()
	g := newRig(t, func(o *ReaderOptions) { o.Dir = dir })
	data := bytesOf(1_000_000, 7)
	b := g.store(t, data)
	g.read(t, b, 0, b.Size, data)
	for want := (piece{length: b.Size}).fileBytes(); g.r.Stats().CacheBytes < want; {
		time.Sleep(5 * time.Millisecond) // for the bytes to be written that are here already
	}
	var files []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	if len(files) != 3 {
		t.Fatalf("%d files", len(files))
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[100_000] ^= 1
	if err := os.WriteFile(files[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Remove(files[1])
	g.read(t, b, 0, b.Size, data)
	g.r.Close()
	left := filepath.Join(filepath.Dir(files[0]), "123"+partSuffix)
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[2], 10); err != nil {
		t.Fatal(err)
	}
	whole := func(file string) int64 {
		p, _ := parseName(filepath.Base(file))
		return p.fileBytes() + fileCost
	}
	o := DefaultReader(dir)
	again, err := NewReader(g.c, o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := os.Stat(left); err == nil {
		t.Error("an unfinished file stays")
	}
	if got, want := again.Stats().CacheBytes, whole(files[0])+whole(files[1]); got != want {
		t.Errorf("%d bytes are there of two files with %d", got, want)
	}
	g.r = again
	b, err = again.Find(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	g.read(t, b, 0, b.Size, data)
}

// waiting is a holder in a challenge.
type waiting struct {
	p2p.Keeper
	until func() bool
}

func (w waiting) Fragment(ctx context.Context, at blob.Position) ([]byte, []byte, error) {
	if w.until() {
		return nil, nil, &p2p.Refusal{Code: p2p.CodeWait, Text: "a challenge is running", RetryHeight: 77}
	}
	return w.Keeper.Fragment(ctx, at)
}

func (w waiting) Symbols(ctx context.Context, at blob.Position, indices []int, proven bool) (p2p.Symbols, error) {
	if w.until() {
		return p2p.Symbols{}, &p2p.Refusal{Code: p2p.CodeWait, Text: "a challenge is running", RetryHeight: 77}
	}
	return w.Keeper.Symbols(ctx, at, indices, proven)
}

// While a challenge runs, what is in the cache is served, and for what is not patience is
// short: the error says why and until when. What was just stored is in the cache.
func TestAChallengeIsToldAfterALittle(t *testing.T) {
	g := newRig(t, func(o *ReaderOptions) { o.Patience = 300 * time.Millisecond })
	data := bytesOf(500_000, 8)
	before := g.store(t, data)
	var mu sync.Mutex
	running := true
	for i, h := range g.Hosts {
		h.ServeFragments(waiting{g.Nodes[i].Keeper(), func() bool { mu.Lock(); defer mu.Unlock(); return running }})
	}
	out, err := NewWriter(g.c, g.Wallet, WriterOptions{AtOnce: 1, Limit: time.Minute, Reader: g.r}).Store(t.Context(), bytesOf(400_000, 9), client.StoreOptions{Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := g.r.Find(t.Context(), out.ID)
	if err != nil {
		t.Fatal(err)
	}
	g.read(t, stored, 0, stored.Size, bytesOf(400_000, 9))
	var frozen *FrozenError
	err = g.r.ReadRange(t.Context(), before, 0, before.Size, io.Discard)
	if !errors.As(err, &frozen) || frozen.Until != 77 || !errors.Is(err, fetch.ErrFrozen) {
		t.Fatalf("a reader in a challenge gets %v", err)
	}
	if g.r.Stats().Waits == 0 {
		t.Error("the wait was not counted")
	}
	mu.Lock()
	running = false
	mu.Unlock()
	g.read(t, before, 0, before.Size, data)
}

// Bodies are bounded each and together, whether their length is known or not, and leave
// nothing.
func TestASpoolIsBounded(t *testing.T) {
	dir := t.TempDir()
	s, err := NewSpool(dir, 5<<20, 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	take := func(n, declared int) (*Body, error) {
		return s.Take(t.Context(), bytes.NewReader(make([]byte, n)), int64(declared))
	}
	for _, declared := range []int{4 << 20, -1} {
		if _, err := take(4<<20, declared); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a body too large, declared %d: %v", declared, err)
		}
	}
	first, err := take(3<<20, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, declared := range []int{3 << 20, -1} {
		if _, err := take(3<<20, declared); !errors.Is(err, ErrSpoolFull) {
			t.Errorf("a body for which there is no room, declared %d: %v", declared, err)
		}
	}
	if _, err := s.Take(t.Context(), io.MultiReader(bytes.NewReader(make([]byte, 1000)), broken{}), -1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that breaks off: %v", err)
	}
	for n, want := range map[int64]error{math.MaxInt64: ErrTooLarge, -1: ErrTooLarge, 3<<20 + 1: ErrTooLarge, 2<<20 + 1: ErrSpoolFull} {
		if err := s.Reserve(n); !errors.Is(err, want) {
			t.Errorf("%d bytes are reserved: %v", n, err)
		}
	}
	if err := s.Reserve(2 << 20); err != nil {
		t.Error(err)
	}
	if _, err := take(1, -1); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("a body beside what is reserved: %v", err)
	}
	s.Free(2 << 20)
	s.Hold(10 << 20) // of an earlier process, which had more room
	if err := s.Reserve(1); !errors.Is(err, ErrSpoolFull) {
		t.Errorf("more than the room is held: %v", err)
	}
	s.Free(10 << 20)
	first.Close()
	first.Close()
	if _, err := take(3<<20, 3<<20); err != nil || s.Used() != 3<<20 {
		t.Errorf("%d bytes are used: %v", s.Used(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("%d files are left", len(entries))
	}
}

// Clients are told nothing of a spool's directory.
func TestASpoolTellsNoPath(t *testing.T) {
	dir := t.TempDir()
	s, err := NewSpool(dir, 5<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(t.Context(), broken{}, -1); err != io.ErrUnexpectedEOF {
		t.Errorf("the reader's error is not given back as it is: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(t.Context(), strings.NewReader("x"), 1); !errors.Is(err, ErrDisk) {
		t.Errorf("an error of the disk: %v", err)
	}
	if _, err := s.Take(t.Context(), strings.NewReader("x"), math.MaxInt64); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a length that no spool has: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What cannot be stored is refused before it is read; what can is quoted as it is paid.
func TestAQuoteIsWhatIsPaid(t *testing.T) {
	g := newRig(t, nil)
	ctx := t.Context()
	q, err := g.w.Quote(ctx, 100_000, client.StoreOptions{Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.w.Store(ctx, bytesOf(100_000, 1), client.StoreOptions{Epochs: 3})
	if err != nil || out.Price != q.Lease || out.Write != q.Write || !out.Registered || out.EndEpoch != q.Until || out.Entry.Units != q.StoredAs {
		t.Errorf("paid %s and %s for %s and %s: %+v %v", out.Price, out.Write, q.Lease, q.Write, out, err)
	}
	again, err := g.w.Store(ctx, bytesOf(100_000, 1), client.StoreOptions{Epochs: 5})
	if err != nil || again.Registered || again.Extended != 2 || !again.Already {
		t.Errorf("a longer lease: %+v %v", again, err)
	}
	for _, c := range []struct {
		size int64
		o    client.StoreOptions
		err  error
	}{
		{1 << 42, client.StoreOptions{Epochs: 1}, ledger.ErrCapacity},
		{1000, client.StoreOptions{Epochs: 1 << 40}, ledger.ErrEpochs},
		{1000, client.StoreOptions{Allowance: 2_000_000 * token.WAL}, ledger.ErrFunds},
	} {
		if _, err := g.w.Quote(ctx, c.size, c.o); !errors.Is(err, c.err) {
			t.Errorf("%d bytes, %+v: %v", c.size, c.o, err)
		}
	}
	e, paid, err := g.w.Extend(ctx, out.ID, 1)
	if end, _ := e.OwnedBy(g.w.Payer(), 0); err != nil || end != 6 || paid == 0 {
		t.Errorf("until %d for %s: %v", end, paid, err)
	}
	gone, err := g.w.Delete(ctx, out.ID)
	if err != nil || gone.Refund == 0 || gone.Others != 0 {
		t.Errorf("%+v %v", gone, err)
	}
	if _, err := g.r.Find(ctx, out.ID); !client.IsGone(err) {
		t.Errorf("a deleted blob: %v", err)
	}
}
