package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
)

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
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
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
		if _, err := v.wait(t.Context(), &flight{run: run, done: make(chan struct{})}, 0); !errors.As(err, &frozen) || frozen.Until != 77 {
			t.Error(err)
		}
		if took := time.Since(began); took != 5100*time.Millisecond {
			t.Errorf("told after %s", took)
		}
	})
}
