package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/internal/leak"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

func TestMain(m *testing.M) {
	leak.Main(m,
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

// waitLimit ends a test that waits in vain.
const waitLimit = 2 * time.Minute

// until waits for what goes on beside the test.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !ok(); time.Sleep(2 * time.Millisecond) { // no channel tells of the disk
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

// slow takes no byte until it hangs up.
type slow struct {
	ctx    context.Context
	begins func() // is told of each write
}

func (s slow) Write([]byte) (int, error) {
	s.begins()
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// Slow readers, and those that hang up, keep no fast one waiting, though the memory is small.
func TestSlowReadersKeepNobodyWaiting(t *testing.T) {
	g := newRig(t, func(o *ReaderOptions) { o.Memory = 1 << 20; o.MaxBytes = 64 << 20 })
	a, data := g.store(t, bytesOf(8_000_000, 5)), bytesOf(8_000_000, 6)
	b := g.store(t, data)
	ctx, hangUp := context.WithCancel(t.Context())
	var slows sync.WaitGroup
	begun := make(chan struct{})
	begins := sync.OnceFunc(func() { close(begun) })
	for range 50 {
		slows.Go(func() { g.r.ReadRange(ctx, a, 0, a.Size, slow{ctx, begins}) })
	}
	<-begun // the others read too, or wait for memory
	done := make(chan struct{})
	go func() { defer close(done); g.read(t, b, 0, b.Size, data) }()
	select {
	case <-done:
	case <-time.After(waitLimit):
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
	want := (piece{length: b.Size}).fileBytes()
	until(t, "the bytes that were read are not written into the cache", func() bool { return g.r.Stats().CacheBytes >= want })
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
	if _, err := g.w.Delete(ctx, b.ID, unneeded); err != nil {
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
		if _, err := g.w.mayExtend(n, shown, 3, ledger.Extend{Blob: b.ID, Epochs: 3}); !errors.Is(err, ledger.ErrFunds) {
			t.Errorf("at %s: %v", price, err)
		}
	}
	if g.l.submits.Load() != sent {
		t.Error("what cannot be was sent")
	}

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	g.l.after = nil
	if d, err := g.w.Delete(ctx, b.ID, unneeded); err != nil || d.Refund == 0 {
		t.Errorf("a Delete of a caller that hung up: %+v %v", d, err)
	}
	g.w.leasing.Store(int64(g.w.o.AtOnce + g.w.o.Waiting))
	if _, _, err := g.w.Extend(t.Context(), b.ID, 1); !errors.Is(err, ErrBusy) {
		t.Errorf("one change too many: %v", err)
	}
}
