package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

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
	gone, err := g.w.Delete(ctx, out.ID, unneeded)
	if err != nil || gone.Refund == 0 || gone.Others != 0 {
		t.Errorf("%+v %v", gone, err)
	}
	if _, err := g.r.Find(ctx, out.ID); !client.IsGone(err) {
		t.Errorf("a deleted blob: %v", err)
	}
}

// unneeded says that no other user needs a lease.
func unneeded() bool { return false }

// A deletion is refused while the blob is being stored, and a store waits for a deletion: it
// would find a lease that is about to end.
func TestStoresAndDeletionsOfABlobAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, id := newUsers(), blob.ID{1}
		if err := u.enter(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := u.end(id); !errors.Is(err, ErrBusy) {
			t.Errorf("a blob that is being stored is given up: %v", err)
		}
		u.leave(id)
		done, err := u.end(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.end(id); !errors.Is(err, ErrBusy) {
			t.Errorf("it is given up twice: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := u.enter(ctx, id); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		entered := false
		go func() {
			if err := u.enter(context.Background(), id); err != nil {
				t.Error(err)
			}
			entered = true
		}()
		synctest.Wait()
		if entered {
			t.Error("a store did not wait for the deletion")
		}
		done()
		synctest.Wait()
		if !entered {
			t.Error("a store waits for a deletion that has ended")
		}
		if u.leave(id); len(u.stores)+len(u.deleted) > 0 {
			t.Error("what has ended is kept", u.stores, u.deleted)
		}
	})
}

func TestALeaseThatAnotherUserNeedsStays(t *testing.T) {
	g := newRig(t, nil)
	out, err := g.w.Store(t.Context(), bytesOf(1000, 1), client.StoreOptions{Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.w.Delete(t.Context(), out.ID, func() bool { return true }); !errors.Is(err, ErrNeeded) {
		t.Error(err)
	}
	if d, err := g.w.Delete(t.Context(), out.ID, unneeded); err != nil || d.Refund == 0 {
		t.Error(d, err)
	}
}

// The ID of a large body is known when its last byte is here: the store reads the spool once, to
// send it. A body whose length is not known gets its ID from its store, the same one.
func TestABodyIsEncodedWhileItComes(t *testing.T) {
	g := newRig(t, nil)
	g.c.Shape, _ = blob.NewShape(10)
	s, err := NewSpool(t.TempDir(), 8<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Client = g.c
	b := bytesOf(3<<20, 50)
	var ids []blob.ID
	for _, declared := range []int64{b.Size(), -1} {
		body, err := s.Take(t.Context(), bytes.NewReader(b), declared)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if (body.ahead != nil) != (declared > 0) {
			t.Fatalf("%d bytes were declared: %v", declared, body.ahead)
		}
		var told blob.ID
		out, err := g.w.Store(t.Context(), body, client.StoreOptions{Epochs: 3, Identified: func(id blob.ID) error { told = id; return nil }})
		if err != nil || out.Size != b.Size() || told != out.ID || declared > 0 && body.ahead.ID() != out.ID {
			t.Fatalf("%+v, %v; told of %s", out, err, told)
		}
		ids = append(ids, out.ID)
	}
	if ids[0] != ids[1] {
		t.Error("the same bytes have two IDs")
	}
	var got bytes.Buffer
	found, err := g.r.Find(t.Context(), ids[0])
	if err == nil {
		err = g.r.ReadRange(t.Context(), found, 0, found.Size, &got)
	}
	if err != nil || !bytes.Equal(got.Bytes(), b) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}
