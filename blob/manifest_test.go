package blob_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

func manifestOf(t testing.TB, n int, size int64) blob.Manifest {
	t.Helper()
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(size)
	if err != nil {
		t.Fatal(err)
	}
	return blob.NewManifest(l, blob.Leaf([]byte("root")))
}

func TestOnlyTheManifestOfASizeIsAccepted(t *testing.T) {
	good := manifestOf(t, 28, 5_000_000)
	back, err := blob.DecodeManifest(good.Encode())
	if err != nil || back != good || back.ID() != good.ID() {
		t.Fatalf("a good manifest changed: %+v, %v", back, err)
	}
	for name, change := range map[string]func(*blob.Manifest){
		"version":    func(m *blob.Manifest) { m.Version = 2 },
		"codec":      func(m *blob.Manifest) { m.Codec = blob.CodecGF16 },
		"symbol":     func(m *blob.Manifest) { m.Seg-- },
		"no symbol":  func(m *blob.Manifest) { m.Seg = 0 },
		"few shards": func(m *blob.Manifest) { m.N = 3 },
		"shards":     func(m *blob.Manifest) { m.N = 1001 },
		"huge":       func(m *blob.Manifest) { m.Size = 1 << 63 },
		"too long":   func(m *blob.Manifest) { m.Size = 1 << 60 },
	} {
		m := good
		change(&m)
		if _, err := blob.DecodeManifest(m.Encode()); err == nil {
			t.Errorf("%s: accepted %+v", name, m)
		}
	}
	other := good
	other.Seg--
	if _, err := other.Layout(); !errors.Is(err, blob.ErrManifest) {
		t.Errorf("want ErrManifest, got %v", err)
	}
}

func TestLayoutsCoverTheBlobExactly(t *testing.T) {
	for n := blob.MinShards; n <= blob.MaxShards; n += 37 {
		shape, _ := blob.NewShape(n)
		if shape.K1+2*shape.F != n || shape.K2+shape.F != n || 3*shape.F >= n || 3*shape.F+3 < n {
			t.Fatalf("%+v", shape)
		}
		stripe := int64(shape.K1*shape.K2) * int64(shape.MaxSymbol())
		for _, size := range []int64{0, 1, 7, stripe - 1, stripe, stripe + 1, 5*stripe + 3} {
			l, err := shape.Layout(size)
			if err != nil {
				t.Fatal(err)
			}
			total := int64(0)
			for i := range l.Stripes {
				held, room := l.StripeBytes(i), int64(l.K1*l.K2*l.StripeSeg(i))
				if l.StripeOffset(i) != total || held > room || held < 0 || l.StripeSeg(i) < 1 || l.StripeSeg(i) > l.Seg {
					t.Fatalf("N=%d size %d stripe %d: %d bytes at %d in %d", n, size, i, held, l.StripeOffset(i), room)
				}
				if shape.Codec() == blob.CodecGF16 && l.StripeSeg(i)%2 != 0 {
					t.Fatalf("N=%d size %d: odd symbol", n, size)
				}
				total += held
			}
			if total != size {
				t.Fatalf("N=%d: stripes hold %d of %d bytes", n, total, size)
			}
		}
	}
}

func TestPlacesAndShardsAreAPermutation(t *testing.T) {
	id := manifestOf(t, 28, 1).ID()
	seen := make(map[blob.Shard]bool)
	for p := range blob.Place(28) {
		s := id.ShardOf(p, 28)
		if s >= 28 || seen[s] || id.PlaceOf(s, 28) != p {
			t.Fatalf("place %d is kept by shard %d, which keeps %d", p, s, id.PlaceOf(s, 28))
		}
		seen[s] = true
	}
	all := blob.ID{0: 0xff, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff}
	if s := all.ShardOf(999, 1000); all.PlaceOf(s, 1000) != 999 || s != blob.Shard((999+615)%1000) {
		t.Fatalf("the largest rotation gives shard %d", s) // 2^64-1 mod 1000 = 615
	}
}

func TestIDsAreReadInTheirOwnFormOnly(t *testing.T) {
	id := manifestOf(t, 28, 1).ID()
	text, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back blob.ID
	if err := json.Unmarshal(text, &back); err != nil || back != id {
		t.Fatalf("%s came back as %v (%v)", text, back, err)
	}
	address := blob.AddressOf([]byte("bytes"))
	if got, err := blob.ParseAddress(address.String()); err != nil || got != address {
		t.Fatalf("%v, %v", got, err)
	}
	if got, err := blob.ParseID(id.Base64()); err != nil || got != id || len(id.Base64()) != 43 {
		t.Fatalf("%s was read as %v, %v", id.Base64(), got, err)
	}
	short := id.Base64()[:42]
	for _, s := range []string{"", "bafy", short, short + "+", short + "\n", short + "=", short + "B", short + "AA", address.String(), id.String()[:20], "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"} {
		if got, err := blob.ParseID(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
	if _, err := blob.ParseAddress(id.String()); err == nil {
		t.Error("an ID was read as an address")
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(manifestOf(f, 28, 1).ID().String())
	f.Add("bafy")
	f.Add(manifestOf(f, 28, 1).ID().Base64())
	f.Fuzz(func(t *testing.T, s string) {
		id, err := blob.ParseID(s)
		if err != nil {
			return
		}
		if len(s) == 43 && id.Base64() != s {
			t.Fatalf("%q was read as %s", s, id.Base64())
		}
		if again, err := blob.ParseID(id.String()); err != nil || again != id {
			t.Fatalf("%q was read as %v, which is not read as itself (%v)", s, id, err)
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(manifestOf(f, 28, 5_000_000).Encode())
	f.Add(manifestOf(f, 1000, 0).Encode())
	f.Add([]byte{0x87})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := blob.DecodeManifest(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), b) {
			t.Fatalf("accepted %x, which encodes as %x", b, m.Encode())
		}
		c, err := m.Commitment()
		if err != nil || c.Manifest() != m {
			t.Fatalf("%+v is not the manifest of its layout (%v)", m, err)
		}
	})
}

func FuzzDecodeWitness(f *testing.F) {
	w := blob.Witness{Share: []byte{1, 2}, Path: make([]blob.Hash, 2), SharePath: make([]blob.Hash, 2)}
	f.Add(w.Encode())
	f.Add([]byte{0x86})
	c, err := manifestOf(f, 4, 1).Commitment()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := blob.DecodeWitness(b)
		if err != nil {
			return
		}
		if !bytes.Equal(canon.Encode(w), b) {
			t.Fatalf("accepted %x, which encodes as %x", b, canon.Encode(w))
		}
		for p := range blob.Place(6) {
			if _, err := w.Prove(c, 0, p); err == nil {
				t.Fatal("a witness was found for a root that has none")
			}
		}
	})
}

func FuzzDecodeOpening(f *testing.F) {
	leaves := leavesOf(4)
	shape, _ := blob.NewShape(4)
	f.Add(blob.Open(shape, blob.Column, 2, []byte{0, 1, 2, 3}, leaves, 1).Encode())
	f.Add([]byte{0x86})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := blob.DecodeOpening(b)
		if err == nil && !bytes.Equal(o.Encode(), b) {
			t.Fatalf("accepted %x, which encodes as %x", b, o.Encode())
		}
	})
}
