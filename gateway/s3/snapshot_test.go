package s3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

func contextOf(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

func TestAnotherMachineGoesOnFromTheSnapshot(t *testing.T) {
	key, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots)
	w.must("PUT", "/photos", nil)
	body := piece('a', 2<<20)
	w.must("PUT", "/photos/one", body, "X-Amz-Meta-A", "b")
	w.must("PUT", "/photos/two", []byte("small"))
	first, err := w.door.TakeSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.door.TakeSnapshot(t.Context()); err != nil || again != first {
		t.Fatal("a snapshot without a change", again, err)
	}
	w.must("DELETE", "/photos/two", nil)
	id := w.begin("/photos/big")
	part := w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, piece('b', minPart)).header.Get("ETag")
	second, err := w.door.TakeSnapshot(t.Context())
	if err != nil || second == first {
		t.Fatal(second, err)
	}
	// The lease of "two" and that of the first snapshot are due, and are not given back here.
	w.must("PUT", "/photos/late", piece('c', 2<<20))
	w.close()

	other := t.TempDir()
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), w.double, other, stranger, blob.ID{}); !errors.Is(err, ErrNoSnapshot) {
		t.Fatal(err)
	}
	out, err := Restore(t.Context(), w.double, other, key, blob.ID{})
	if err != nil || out.Snapshot != second || out.Objects != 1 || out.Buckets != 1 || out.Bytes != int64(len(body)) || out.Missing != 0 {
		t.Fatal(out, err)
	}
	if _, err := Restore(t.Context(), w.double, other, key, blob.ID{}); err == nil {
		t.Fatal("an index was replaced")
	}
	w.o.Dir = other
	w.start()
	if got := w.must("GET", "/photos/one", nil); got.body != string(body) || got.header.Get("X-Amz-Meta-A") != "b" {
		t.Fatal(len(got.body))
	}
	w.must("POST", "/photos/big?uploadId="+id, partList(part))
	w.must("DELETE", "/photos/big", nil)
	w.must("DELETE", "/photos/one", nil)
	third, err := w.door.TakeSnapshot(t.Context())
	if err != nil || third == second {
		t.Fatal(third, err)
	}
	w.leases(2) // the snapshot, and what no snapshot knew
}

func TestLeasesAreRenewedBeforeTheyEnd(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Epochs = 6 })
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("kept"))
	end := func() (out Lease) {
		for _, l := range w.double.leases {
			out = l
		}
		return out
	}
	for range 20 {
		w.double.epoch++
		w.door.seenAt = w.door.seenAt.AddDate(-1, 0, 0)
		if err := w.door.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := end().End - w.double.epoch; left < 3 || left > 6 {
			t.Fatalf("%d epochs are left in epoch %d", left, w.double.epoch)
		}
	}
	if got := w.must("HEAD", "/photos/one", nil).header.Get("X-Amz-Expiration"); got == "" {
		t.Error("no expiration")
	}
}

func TestSecretsAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	keys, made, err := OpenKeys(filepath.Join(dir, "keys.json"))
	if err != nil || !made || len(keys) != 1 {
		t.Fatal(keys, made, err)
	}
	again, made, err := OpenKeys(filepath.Join(dir, "keys.json"))
	if err != nil || made || again[0].Secret != keys[0].Secret {
		t.Fatal(again, made, err)
	}
	one, made, err := OpenRecovery(filepath.Join(dir, "recovery.key"))
	if err != nil || !made {
		t.Fatal(err)
	}
	two, made, err := OpenRecovery(filepath.Join(dir, "recovery.key"))
	if err != nil || made || one.String() != two.String() {
		t.Fatal(err)
	}
}

func FuzzSnapshot(f *testing.F) {
	x := newDB(f)
	err := x.change(f.Context(), func(c *change) error {
		c.put(bucketKey("photos"), bucket{})
		c.put(leaseKey(blob.ID{1}), lease{Users: 1})
		c.put(objectKey("photos", "one"), object{Content: content{Size: 1, Extents: []extent{{Blob: blob.ID{1}, Length: 1}}}})
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	var all bytes.Buffer
	out := bufio.NewWriter(&all)
	if err := x.db.View(func(r kv.Reader) error { return (&draft{}).whole(r, out) }); err != nil {
		f.Fatal(err)
	}
	out.Flush()
	f.Add(all.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		for k := 1; k <= len(b); k *= 4 {
			_ = checkRecord(b[:k], b[k:])
		}
		r, err := packed(b)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readSnapshot(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.each(func(k, v []byte) error {
			if checkRecord(k, v) != nil {
				t.Error("a record was not checked")
			}
			return nil
		})
		if s, err := readSnapshot(bytes.NewReader(b)); err == nil {
			_ = s.each(func(_, _ []byte) error { return nil })
		}
	})
}
