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
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
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
	l *gated
}

// gated is the ledger with a gate before each look.
type gated struct {
	world.Ledger
	views, submits atomic.Int64

	mu    sync.Mutex
	gate  func(context.Context) error
	after func() // each transaction
}

func (l *gated) set(gate func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = gate
}

func (l *gated) View(ctx context.Context) (ledger.View, error) {
	l.views.Add(1)
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		if err := gate(ctx); err != nil {
			return ledger.View{}, err
		}
	}
	return l.Ledger.View(ctx)
}

func (l *gated) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	l.submits.Add(1)
	receipt, err := l.Ledger.Submit(ctx, tx)
	l.mu.Lock()
	after := l.after
	l.mu.Unlock()
	if after != nil {
		after()
	}
	return receipt, err
}

// Proves says that a receipt needs no look at the records.
func (*gated) Proves() bool { return true }

// shut is a gate that opens when the channel is closed.
func shut(open <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-open:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errSilent = errors.New("the ledger is silent")

func silent(context.Context) error { return errSilent }

// until waits for what goes on beside the test.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func newRig(t *testing.T, change func(*ReaderOptions)) *rig {
	t.Helper()
	n := world.New(t, 4, 10)
	o := DefaultReader(t.TempDir())
	if change != nil {
		change(&o)
	}
	l := &gated{Ledger: n.Ledger}
	c := n.ClientOf(l)
	r, err := NewReader(c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &rig{n, r, NewWriter(c, n.Wallet, WriterOptions{AtOnce: 4, Waiting: 4, Limit: time.Minute}), c, l}
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
	pieces := int64(b.commitment.Layout.Stripes)
	if got := g.r.Stats().Misses; got != pieces {
		t.Errorf("20 readers of %d pieces had %d fetched", pieces, got)
	}
	if got := g.c.Received(); got > 2*b.Size { // where the machine is slow, some rows are asked for twice
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
	until func(blob.ID) bool
}

func (w waiting) Fragment(ctx context.Context, at blob.Position) ([]byte, []byte, error) {
	if w.until(at.Blob) {
		return nil, nil, &p2p.Refusal{Code: p2p.CodeWait, Text: "a challenge is running", RetryHeight: 77}
	}
	return w.Keeper.Fragment(ctx, at)
}

func (w waiting) Symbols(ctx context.Context, at blob.Position, indices []int, proven bool) (p2p.Symbols, error) {
	if w.until(at.Blob) {
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
		h.ServeFragments(waiting{g.Nodes[i].Keeper(), func(blob.ID) bool { mu.Lock(); defer mu.Unlock(); return running }})
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

// hold makes the nodes hold the bytes of blobs back until it is called with false.
func (g *rig) hold(ids ...blob.ID) (running *atomic.Bool) {
	running = new(atomic.Bool)
	running.Store(true)
	for i, h := range g.Hosts {
		h.ServeFragments(waiting{g.Nodes[i].Keeper(), func(id blob.ID) bool { return running.Load() && slices.Contains(ids, id) }})
	}
	return running
}

// Reads that wait for a challenge to end hold no memory that other reads need, and no more
// than their own part of it: those beyond that end at once.
func TestFrozenReadsLeaveMemoryToOthers(t *testing.T) {
	g := newRig(t, func(o *ReaderOptions) { o.Memory, o.Patience, o.Limit = 4<<20, time.Hour, time.Hour })
	free := bytesOf(1_000_000, 20)
	other := g.store(t, free)
	var frozen []*Blob
	var ids []blob.ID
	for i := range byte(4) {
		b := g.store(t, bytesOf(1_000_000, 21+i))
		frozen, ids = append(frozen, b), append(ids, b.ID)
	}
	running := g.hold(ids...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ends := make(chan error, len(frozen))
	for i, b := range frozen {
		go func() {
			var got bytes.Buffer
			err := g.r.ReadRange(ctx, b, 0, b.Size, &got)
			if err == nil && !bytes.Equal(got.Bytes(), bytesOf(1_000_000, 21+byte(i))) {
				err = errors.New("other bytes came")
			}
			ends <- err
		}()
	}
	for range 2 { // of four, two have room in half of the memory
		var e *FrozenError
		if err := <-ends; !errors.As(err, &e) || e.Until != 77 {
			t.Fatalf("a read beyond those that may wait gets %v", err)
		}
	}
	var got bytes.Buffer
	if err := g.r.ReadRange(ctx, other, 0, other.Size, &got); err != nil || !bytes.Equal(got.Bytes(), free) {
		t.Fatalf("a read of bytes that can be had, beside two that wait: %v", err)
	}
	running.Store(false)
	for range 2 {
		if err := <-ends; err != nil {
			t.Errorf("a read that waited: %v", err)
		}
	}
	g.r.Close()
	if !g.r.memory.TryAcquire(4<<20) || !g.r.frozen.TryAcquire(2<<20) {
		t.Error("memory was not given back")
	}
}

// gate lets a writer's first bytes wait.
type gate struct {
	bytes.Buffer
	open <-chan struct{}
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(b)
}

// What was fetched ahead and ended in a challenge is fetched again when it is wanted.
func TestAChallengeThatIsOverStopsNoSlowReader(t *testing.T) {
	g := newRig(t, func(o *ReaderOptions) { o.Memory = 600_000 })
	data := bytesOf(1_300_000, 30)
	b := g.store(t, data)
	p, running := b.pieceAt(0), g.hold(b.ID) // before there are lines to the nodes
	running.Store(false)
	g.read(t, b, 0, p.length, data)
	until(t, "the first piece is not in the cache", func() bool { return g.r.cache.has(p) })
	running.Store(true)
	open := make(chan struct{})
	w := &gate{open: open}
	end := make(chan error)
	go func() { end <- g.r.ReadRange(t.Context(), b, 0, b.Size, w) }()
	until(t, "nothing was turned away", func() bool {
		g.r.mu.Lock()
		defer g.r.mu.Unlock()
		return g.r.waits.Load() > 0 && len(g.r.flights) == 0
	})
	running.Store(false)
	close(open)
	if err := <-end; err != nil || !bytes.Equal(w.Bytes(), data) {
		t.Errorf("%d bytes: %v", w.Len(), err)
	}
}

// A challenge that is reported after patience is over is told then.
func TestAChallengeIsToldWhenItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reader{o: ReaderOptions{Patience: 5 * time.Second, Limit: 30 * time.Second}}
		run := &run{r: r, frozen: make(chan struct{})}
		v := &visit{r: r}
		began := time.Now()
		time.AfterFunc(5100*time.Millisecond, func() { run.freeze(77) })
		var frozen *FrozenError
		if err := v.wait(t.Context(), &flight{run: run, done: make(chan struct{})}); !errors.As(err, &frozen) || frozen.Until != 77 {
			t.Error(err)
		}
		if took := time.Since(began); took != 5100*time.Millisecond {
			t.Errorf("told after %s", took)
		}
	})
}

// Readers that name IDs which they made up are bounded, and so are the questions that go on
// when they hang up; answers that are kept are given all the same.
func TestAFloodOfIDsIsBounded(t *testing.T) {
	g := newRig(t, nil)
	known := g.store(t, bytesOf(1000, 40))
	open := make(chan struct{})
	g.l.set(shut(open))
	ctx, hangUp := context.WithCancel(t.Context())
	const beyond = 88
	ends := make(chan error, findsWaiting+beyond)
	find := func(id blob.ID) { _, err := g.r.Find(ctx, id); ends <- err }
	before := g.l.views.Load()
	go find(blob.ID{1})
	until(t, "no question", func() bool { return g.l.views.Load() > before })
	for i := range findsWaiting + beyond - 1 {
		go find(blob.ID{9, byte(i), byte(i >> 8)})
	}
	wait := time.After(15 * time.Second) // less than a question may take
	for range beyond {
		select {
		case err := <-ends:
			if !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
		case <-wait:
			t.Fatal("more readers wait than may")
		}
	}
	if _, err := g.r.Find(t.Context(), known.ID); err != nil {
		t.Errorf("an answer that is kept: %v", err)
	}
	hangUp()
	for range findsWaiting {
		if err := <-ends; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	until(t, "questions end with their readers", func() bool { return g.r.finder.questions.Load() == findsWaiting })
	if _, err := g.r.Find(t.Context(), blob.ID{2}); !errors.Is(err, ErrBusy) {
		t.Errorf("one more question: %v", err)
	}
	ctx, hangUp = context.WithCancel(t.Context())
	for range findsWaiting + 1 { // of one ID, whose question waits already
		go find(blob.ID{1})
	}
	if err := <-ends; !errors.Is(err, ErrBusy) {
		t.Errorf("one more reader of an ID: %v", err)
	}
	hangUp()
	for range findsWaiting {
		if err := <-ends; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	close(open)
	until(t, "questions do not end", func() bool { return g.r.finder.questions.Load() == 0 })
	if _, err := g.r.Find(t.Context(), blob.ID{2}); !errors.Is(err, client.ErrUnknownBlob) {
		t.Errorf("after the flood: %v", err)
	}
}

// That a blob is not there is remembered for a moment, and never beyond a Forget or a store.
func TestAnAbsenceIsRememberedUntilItIsForgotten(t *testing.T) {
	g := newRig(t, nil)
	g.w.o.Reader = g.r
	ctx := t.Context()
	asks := func(id blob.ID) bool {
		t.Helper()
		before := g.l.views.Load()
		if _, err := g.r.Find(ctx, id); !client.IsGone(err) {
			t.Fatal(err)
		}
		return g.l.views.Load() > before
	}
	id := blob.ID{3}
	first, second := asks(id), asks(id)
	g.r.Forget(id)
	if third := asks(id); !first || second || !third {
		t.Errorf("asked: %v, %v at once after that, %v when it was forgotten", first, second, third)
	}
	g.r.finder.gone.Add(id, absence{client.ErrUnknownBlob, time.Now().Add(-goneFor - time.Millisecond)})
	if !asks(id) {
		t.Error("an old absence is believed")
	}

	b := g.store(t, bytesOf(1000, 41))
	if _, err := g.w.Delete(ctx, b.ID); err != nil {
		t.Fatal(err)
	}
	if !asks(b.ID) || asks(b.ID) {
		t.Error("that a blob was deleted is not remembered")
	}
	g.store(t, bytesOf(1000, 41)) // and finds it

	// A question that began before a Forget says nothing about what comes after it.
	id, open := blob.ID{4}, make(chan struct{})
	g.l.set(shut(open))
	before := g.l.views.Load()
	ends := make(chan error, 2)
	find := func() { _, err := g.r.Find(ctx, id); ends <- err }
	go find()
	until(t, "no question", func() bool { return g.l.views.Load() == before+1 })
	g.r.Forget(id)
	go find()
	until(t, "a question from before a Forget is joined", func() bool { return g.l.views.Load() == before+2 })
	g.r.Forget(id)
	close(open)
	for range 2 {
		if err := <-ends; !client.IsGone(err) {
			t.Fatal(err)
		}
	}
	if !asks(id) {
		t.Error("answers from before a Forget are kept")
	}
}

// With a silent ledger all that want to know ask once, and go when their time is over; what
// was read within a minute serves.
func TestASilentLedgerHoldsNobodyUp(t *testing.T) {
	g := newRig(t, nil)
	open := make(chan struct{})
	g.l.set(shut(open))
	ends := make(chan error, 10)
	for range cap(ends) {
		go func() { _, err := g.w.Now(t.Context()); ends <- err }()
	}
	until(t, "nothing is asked", func() bool { return g.l.views.Load() > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := make(chan error, 1)
	go func() { _, err := g.w.Now(ctx); gone <- err }()
	select {
	case err := <-gone:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Error("a caller whose time is over waits for the ledger")
	}
	close(open)
	for range cap(ends) {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if n := g.l.views.Load(); n != 1 {
		t.Errorf("%d questions", n)
	}
	g.l.set(silent)
	g.w.now.At = time.Now().Add(-oldLookFor / 2)
	if n, err := g.w.Now(t.Context()); err != nil || n.Params.Registry.Price == 0 {
		t.Errorf("what was read half a minute ago: %v", err)
	}
	g.w.now.At = time.Now().Add(-oldLookFor)
	if _, err := g.w.Now(t.Context()); !errors.Is(err, errSilent) {
		t.Errorf("what was read a minute ago: %v", err)
	}
}

// What was paid for is told, though the caller hangs up or the ledger falls silent; what
// cannot be is not sent.
func TestAnExtensionThatWasPaidIsNoError(t *testing.T) {
	g := newRig(t, nil)
	b := g.store(t, bytesOf(1000, 50))
	payer := g.w.Payer()
	ctx, cancel := context.WithCancel(t.Context())
	g.l.after = cancel
	e, paid, err := g.w.Extend(ctx, b.ID, 1)
	end, _ := e.OwnedBy(payer, 0)
	if err != nil || end != 4 || paid == 0 || ctx.Err() == nil {
		t.Fatalf("the caller hung up: until %d for %s: %v", end, paid, err)
	}
	g.l.after = func() { g.l.set(silent) }
	e, again, err := g.w.Extend(t.Context(), b.ID, 1)
	g.l.set(nil)
	_, shown, err2 := g.w.live(t.Context(), b.ID)
	if err != nil || err2 != nil || again != paid || !reflect.DeepEqual(e, shown) {
		t.Fatalf("the ledger fell silent: %+v for %s, %v; it shows %+v %v", e, again, err, shown, err2)
	}
	if end, _ = shown.OwnedBy(payer, 0); end != 5 {
		t.Fatalf("until %d", end)
	}

	sent := g.l.submits.Load()
	n, err := g.w.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	most := n.Params.Registry.MaxEpochs
	for _, epochs := range []uint64{0, most, most + 1, 1<<64 - 1} {
		if _, _, err := g.w.Extend(t.Context(), b.ID, epochs); !errors.Is(err, ledger.ErrEpochs) {
			t.Errorf("%d epochs more: %v", epochs, err)
		}
	}
	if _, _, err := g.w.Extend(t.Context(), blob.ID{5}, 1); !errors.Is(err, client.ErrUnknownBlob) {
		t.Errorf("a blob that never was: %v", err)
	}
	if _, _, err := NewWriter(g.c, token.KeyFromSeed([32]byte{9}), g.w.o).Extend(t.Context(), b.ID, 1); !errors.Is(err, ledger.ErrNotOwner) {
		t.Errorf("a blob of another: %v", err)
	}
	for _, price := range []token.Amount{1_000_000 * token.WAL, 1<<64 - 1} {
		n.Params.Registry.Price = price
		if _, err := g.w.mayExtend(n, shown, ledger.Extend{Blob: b.ID, Epochs: 3}); !errors.Is(err, ledger.ErrFunds) {
			t.Errorf("at %s: %v", price, err)
		}
	}
	if g.l.submits.Load() != sent {
		t.Error("what cannot be was sent")
	}

	// A lease at a new price is one of its own, permanent as the one before.
	old := registry.Lease{Owner: payer, Payer: payer, End: 5, Price: 7, Permanent: true, Renewal: registry.Renewal{Payer: payer, Left: 9}}
	n.Params.Registry.Price = 1
	longer := extended(registry.Entry{Leases: []registry.Lease{old}, Units: shown.Units}, payer, 2, n.Params.Registry)
	if end, _ := longer.OwnedBy(payer, 0); end != 7 || len(longer.Leases) != 2 || !longer.Leases[1].Permanent || longer.Leases[1].Renewal != old.Renewal || longer.Leases[0].Renewal.Left != 0 {
		t.Errorf("%+v", longer.Leases)
	}

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	g.l.after = nil
	if d, err := g.w.Delete(ctx, b.ID); err != nil || d.Refund == 0 {
		t.Errorf("a Delete of a caller that hung up: %+v %v", d, err)
	}
	g.w.changes.Store(int64(g.w.o.AtOnce + g.w.o.Waiting))
	if _, _, err := g.w.Extend(t.Context(), b.ID, 1); !errors.Is(err, ErrBusy) {
		t.Errorf("one change too many: %v", err)
	}
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
