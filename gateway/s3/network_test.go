package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/internal/testlevel"
	town "github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/token"
)

// onNetwork is a Storage on a real network of four nodes, paid by key.
func onNetwork(t *testing.T, w *town.World, key token.Key) Network {
	t.Helper()
	c := w.Client()
	r, err := blobs.NewReader(c, blobs.DefaultReader(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	bodies, err := blobs.NewSpool(t.TempDir(), 64<<20, 32<<20)
	if err != nil {
		t.Fatal(err)
	}
	o := blobs.DefaultWriter()
	o.Reader = r
	return Network{Client: c, Bodies: bodies, Reader: r, Writer: blobs.NewWriter(c, key, o)}
}

func TestADoorOnANetwork(t *testing.T) {
	testlevel.Middle(t, "stores on a network of four nodes")
	net := town.New(t, 4, 10)
	storage := onNetwork(t, net, net.Wallet)
	key, snapshots := withSnapshots(t)
	w := over(t, storage, snapshots, func(o *Options) { o.Epochs, o.Renewed = 3, 2 })
	leases := func(want int) []Owned {
		t.Helper()
		w.settles()
		owned, err := storage.Owned(t.Context())
		if err != nil || len(owned) != want {
			t.Fatalf("%d leases, want %d: %v", len(owned), want, err)
		}
		return owned
	}
	w.must("PUT", "/photos", nil)
	big := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(big)
	if put := w.must("PUT", "/photos/big", big); put.header.Get("X-Amz-Expiration") == "" {
		t.Error(put.header)
	}
	w.must("PUT", "/photos/small", []byte("small"))
	w.must("PUT", "/photos/copy", nil, "X-Amz-Copy-Source", "/photos/big")
	for _, o := range leases(2) {
		l, err := storage.Lease(t.Context(), o.ID)
		if err != nil || l.End != l.Start.Plus(3) {
			t.Fatal(l, err)
		}
	}
	if got := w.must("GET", "/photos/copy", nil, "Range", "bytes=1000000-1000009"); got.body != string(big[1000000:1000010]) {
		t.Error("a range is another one")
	}
	w.must("DELETE", "/photos/big", nil)
	leases(2)
	snapshot, err := w.door.TakeSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	owned := leases(3)
	if owned[0].ID != snapshot {
		t.Error("the last that was certified is not the first of the list")
	}
	w.close()

	// Another machine, with nothing but the wallet and the recovery key.
	other := onNetwork(t, net, net.Wallet)
	out, err := Restore(t.Context(), other, t.TempDir(), key, blob.ID{})
	if err != nil || out.Snapshot != snapshot || out.Objects != 2 || out.Missing != 0 {
		t.Fatal(out, err)
	}
	w.storage = other
	w.start()
	if got := w.must("GET", "/photos/copy", nil); got.body != string(big) {
		t.Error("another body")
	}
	if end, err := other.Extend(t.Context(), owned[1].ID, 2); err != nil || end != owned[1].End.Plus(2) {
		t.Error(end, err)
	}
	w.must("DELETE", "/photos/copy", nil)
	w.must("DELETE", "/photos/small", nil)
	leases(1)
	if err := other.Delete(t.Context(), owned[1].ID); !errors.Is(err, ErrNoLease) {
		t.Error(err)
	}
}

func TestAPoorWalletIsToldBeforeTheBodyIsRead(t *testing.T) {
	testlevel.Middle(t, "asks a network of four nodes")
	net := town.New(t, 4, 10)
	w := over(t, onNetwork(t, net, token.KeyFromSeed([32]byte{9})))
	w.must("PUT", "/photos", nil)
	a := w.refused(503, "ServiceUnavailable", "PUT", "/photos/one", bytes.Repeat([]byte("x"), 1<<20))
	if !strings.Contains(a.body, "fund") {
		t.Error(a.body)
	}
}

// source is bytes to be stored.
type source []byte

func (s source) Size() int64 { return int64(len(s)) }
func (s source) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s[offset:])), nil
}

// httpDoor stores and deletes as package gateway does.
type httpDoor struct {
	writer *blobs.Writer
	owners *access.Owners
	s3     *Server
}

func (h *httpDoor) store(ctx context.Context, b []byte) (blob.ID, error) {
	out, err := h.writer.Store(ctx, source(b), client.StoreOptions{Epochs: 3, Identified: func(id blob.ID) error { return h.owners.Add(id, access.Local) }})
	return out.ID, err
}

func (h *httpDoor) giveUp(ctx context.Context, id blob.ID) error {
	alone, err := h.owners.GiveUp(id, access.Local)
	if err == nil && alone {
		_, err = h.writer.Delete(ctx, id, func() bool { return h.owners.Any(id) || h.s3.Inherit(id) })
	}
	if errors.Is(err, blobs.ErrNeeded) {
		err = nil
	}
	return err
}

// The lease on equal bytes that two doors stored ends with the last of them, whichever stored
// first and whichever gives it up first.
func TestALeaseOfTwoDoorsEndsWithTheLast(t *testing.T) {
	testlevel.Middle(t, "stores on a network of four nodes")
	net := town.New(t, 4, 10)
	storage := onNetwork(t, net, net.Wallet)
	h := &httpDoor{storage.Writer, access.NewOwners(newDB(t).db), nil}
	storage.Relied = h.owners.Any
	w := over(t, storage, func(o *Options) { o.Epochs = 3 })
	h.s3 = w.door
	w.must("PUT", "/photos", nil)
	leases := func(want int, when string) {
		t.Helper()
		w.settles()
		owned, err := storage.Owned(t.Context())
		if err != nil || len(owned) != want {
			t.Fatalf("%s: %d leases, want %d: %v", when, len(owned), want, err)
		}
	}
	for i, order := range []string{"http first, s3 ends first", "http first, http ends first", "s3 first, s3 ends first", "s3 first, http ends first"} {
		b := bytes.Repeat([]byte{byte('a' + i)}, 1000)
		var id blob.ID
		var err error
		if i < 2 {
			id, err = h.store(t.Context(), b)
		}
		w.must("PUT", "/photos/one", b)
		if i >= 2 {
			id, err = h.store(t.Context(), b)
		}
		if err != nil {
			t.Fatal(order, err)
		}
		leases(1, order+": stored")
		ends := []func(){
			func() { w.must("DELETE", "/photos/one", nil) },
			func() {
				if err := h.giveUp(t.Context(), id); err != nil {
					t.Fatal(order, err)
				}
			},
		}
		first := i % 2
		ends[first]()
		leases(1, order+": one needs it")
		ends[1-first]()
		leases(0, order+": none needs it")
	}
}

// A lease that another door gives up while the same bytes are on their way into the index is
// the door's, if they arrive and if they do not.
func TestALeaseIsInheritedWhileTheSameBytesArrive(t *testing.T) {
	for _, arrive := range []bool{true, false} {
		w := newWorld(t)
		w.must("PUT", "/photos", nil)
		body := source("theirs")
		theirs, err := w.double.Store(t.Context(), body, Order{Epochs: 5, Identified: func(blob.ID) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		w.double.epoch += 2
		w.double.certify = func(id blob.ID) error {
			if id == theirs.ID && !w.door.Inherit(id) {
				t.Error("bytes that arrive need no lease")
			}
			if !arrive {
				return errors.New("the network is gone")
			}
			return nil
		}
		w.do("PUT", "/photos/one", body)
		if arrive {
			w.leases(1)
			w.must("DELETE", "/photos/one", nil)
		}
		w.leases(0)
		if w.door.Inherit(theirs.ID) {
			t.Error("a lease that is gone is needed")
		}
		w.close()
	}
}
