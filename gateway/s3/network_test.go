package s3

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
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
