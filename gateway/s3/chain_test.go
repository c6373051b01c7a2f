package s3

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/seal"
)

// fill makes many keys point to an empty object each, and drops those of which drop is true.
func (w *world) fill(from, to int, drop func(int) bool) {
	w.Helper()
	const many = 500
	for ; from < to; from += many {
		err := w.door.index.change(w.Context(), func(c *change) error {
			for i := from; i < min(from+many, to); i++ {
				key := objectKey("photos", fmt.Sprintf("a key of usual length/%08d", i))
				if drop != nil && drop(i) {
					c.drop(key)
					continue
				}
				c.put(key, object{Content: content{ETag: "d41d8cd98f00b204e9800998ecf8427e"}, Modified: rand.Int64(), Headers: []pair{{Name: "Content-Type", Value: "image/jpeg"}}})
			}
			return nil
		})
		if err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) snapshot() blob.ID {
	w.Helper()
	id, err := w.door.TakeSnapshot(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	w.settles()
	return id
}

// records is what snapshots show of an index: not their own leases.
func records(t *testing.T, db *kv.DB) map[string]string {
	t.Helper()
	h, err := readHead(db)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, prefix := range shown {
		err := db.Each([]byte(prefix), func(k, v []byte) error { out[string(k)] = string(v); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range h.Chain {
		delete(out, string(leaseKey(l.Blob)))
	}
	return out
}

// move goes on on another machine, from the newest snapshot.
func (w *world) move(key *age.X25519Identity) {
	w.Helper()
	want := records(w.T, w.door.index.db)
	w.close()
	w.o.Dir = w.TempDir()
	if _, err := Restore(w.Context(), w.double, w.o.Dir, key, blob.ID{}); err != nil {
		w.Fatal(err)
	}
	w.start()
	got := records(w.T, w.door.index.db)
	for k, v := range want {
		if got[k] != v {
			w.Fatalf("record %q is %q and was %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		w.Fatalf("%d records, and there were %d", len(got), len(want))
	}
}

// Snapshots have what has changed: each restores the whole index, on one machine after
// another, and what is on the network stays within its bounds.
func TestSnapshotsFollowOneAnother(t *testing.T) {
	key, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots)
	w.must("PUT", "/photos", nil)
	w.fill(0, 4000, nil)
	whole := w.snapshot()
	size := func(id blob.ID) int { return len(w.double.blobs[id]) }
	w.must("PUT", "/photos/one", []byte("one"))
	second := w.snapshot()
	if w.snapshot() != second {
		t.Error("a snapshot without a change")
	}
	if size(second)*20 > size(whole) {
		t.Errorf("a change of one key costs %d bytes, all keys %d", size(second), size(whole))
	}
	w.leases(3) // the two snapshots, and the object
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		some := 1 << (2 * rng.IntN(6)) // 1 to 1024
		from := rng.IntN(4000)
		w.fill(from, from+some, func(int) bool { return rng.IntN(3) == 0 })
		w.snapshot()
		h, err := readHead(w.door.index.db)
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for i, l := range h.Chain {
			sum += l.Raw
			if i > 0 && l.Raw > h.Chain[i-1].Raw/linkShare+1 {
				t.Errorf("round %d: link %d has %d bytes, the one before %d", round, i, l.Raw, h.Chain[i-1].Raw)
			}
		}
		if len(h.Chain) > maxChain || sum > h.Chain[0].Raw*4/3+maxChain {
			t.Errorf("round %d: %d links of %d bytes, the first of %d", round, len(h.Chain), sum, h.Chain[0].Raw)
		}
		w.leases(len(h.Chain) + 1)
		if round%4 == 3 {
			w.move(key)
		}
	}
}

// What a renewal changes is on the ledger, and makes no snapshot.
func TestARenewalMakesNoSnapshot(t *testing.T) {
	_, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("one"))
	first := w.snapshot()
	w.double.epoch += 2
	w.door.seenAt = time.Time{}
	if err := w.door.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.snapshot() != first {
		t.Error("a snapshot was made")
	}
}

// The bytes that are stored for an index of 100 MB that changes by 20 KB between snapshots, for
// as long as a third of it takes: a few times what has changed, and not the index each time.
func TestSnapshotsCostAFewTimesWhatChanges(t *testing.T) {
	const index, each = 100 << 20, 20 << 10
	var chain []link
	var since []int64 // bytes that changed after each link
	stored, biggest, rounds := int64(0), int64(0), 0
	for ; rounds*each < index/3; rounds++ {
		for i := range since {
			since[i] += each
		}
		at := 0
		if len(chain) > 0 {
			at = position(chain, since)
		}
		raw := int64(index)
		if at > 0 {
			raw = since[at-1]
			biggest = max(biggest, raw)
		}
		chain, since = append(chain[:at], link{Raw: raw}), append(since[:at], 0)
		for i := range since {
			if i >= at {
				since[i] = 0
			}
		}
		stored += raw
	}
	if whole := int64(rounds) * index; stored > 25*int64(rounds)*each+3*index || biggest > index/linkShare || stored*30 > whole {
		t.Errorf("%d snapshots store %d bytes, %d if each were whole; the largest link has %d", rounds, stored, whole, biggest)
	}
}

// A snapshot's size tells a class of sizes only, and a program before left a snapshot that is
// restored, and followed by one of now.
func TestSnapshotsArePaddedAndOldOnesAreRead(t *testing.T) {
	key, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("one"))
	var plain bytes.Buffer
	if err := (&draft{sequence: 7}).write(w.door.index.db, &plain); err != nil {
		t.Fatal(err)
	}
	id := w.snapshot()
	opened, err := seal.Open(int64(len(w.double.blobs[id])), func(offset, length int64, to io.Writer) error {
		return w.double.ReadRange(t.Context(), id, offset, length, to)
	}, []seal.Identity{key})
	if err != nil || opened.Size() == 0 {
		t.Fatal("it is not padded", err)
	}

	// The same index as a program before wrote it.
	unpacked, err := gzip.NewReader(&plain)
	if err != nil {
		t.Fatal(err)
	}
	now, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	var old bytes.Buffer
	sealed, err := age.Encrypt(&old, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(sealed)
	zip.Write(binary.BigEndian.AppendUint64([]byte(snapshotMagic1), 7))
	zip.Write(now[len(snapshotMagic)+8 : len(snapshotMagic)+16])
	zip.Write(now[len(snapshotMagic)+17:]) // behind the number of links
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sealed.Close(); err != nil {
		t.Fatal(err)
	}
	stored, err := w.double.Store(t.Context(), source(old.Bytes()), Order{Epochs: 5, Identified: func(blob.ID) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	w.close()
	w.o.Dir = t.TempDir()
	out, err := Restore(t.Context(), w.double, w.o.Dir, key, blob.ID{})
	if err != nil || out.Snapshot != stored.ID || out.Objects != 1 {
		t.Fatal(out, err)
	}
	w.start()
	if got := w.must("GET", "/photos/one", nil); got.body != "one" {
		t.Error(got)
	}
	w.must("PUT", "/photos/two", []byte("two"))
	if next := w.snapshot(); next == stored.ID {
		t.Error("no snapshot follows an old one")
	}
	w.move(key)
}

// The index of a program before knows its snapshot, which the first of now replaces.
func TestTheIndexOfAProgramBeforeGoesOn(t *testing.T) {
	key, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("one"))
	old := w.snapshot()
	err := w.door.index.change(t.Context(), func(c *change) error {
		c.drop([]byte(keyHead))
		c.put([]byte(keyOldHead), oldHead{Blob: old, Sequence: 1})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.door.index.unmark(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if w.snapshot() == old {
		t.Error("the old snapshot was not replaced")
	}
	w.leases(2)
	w.move(key)
}

// A chain of which a link is gone is told, with what can be done.
func TestAChainWithoutALinkIsTold(t *testing.T) {
	key, snapshots := withSnapshots(t)
	w := newWorld(t, snapshots)
	w.must("PUT", "/photos", nil)
	w.fill(0, 3000, nil)
	whole := w.snapshot()
	w.fill(0, 1, nil)
	last := w.snapshot()
	if err := w.double.Delete(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	_, err := Restore(t.Context(), w.double, t.TempDir(), key, blob.ID{})
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("--snapshot")) {
		t.Errorf("%s rests on nothing: %v", last, err)
	}
}

// BenchmarkSnapshot says what a snapshot of a million keys costs: the whole, and after a
// change of a thousand.
func BenchmarkSnapshot(b *testing.B) {
	x := newDB(b)
	const keys = 1 << 20
	rng := rand.NewChaCha8([32]byte{1})
	for i := 0; i < keys; i += 500 {
		err := x.change(b.Context(), func(c *change) error {
			for k := i; k < i+500; k++ {
				var id blob.ID
				rng.Read(id[:])
				etag, sum := make([]byte, 16), make([]byte, 8)
				rng.Read(etag)
				rng.Read(sum)
				c.put(leaseKey(id), lease{Users: 1, Own: true, End: 12, Size: 100000})
				c.put(objectKey("photos", fmt.Sprintf("2026/holidays/IMG_%08d.jpg", k)), object{
					Content:  content{Size: 100000, ETag: fmt.Sprintf("%x", etag), Sum: checksum{Kind: "CRC64NVME", Value: encode64(sum), Type: fullObject}, Extents: []extent{{Blob: id, Length: 100000}}},
					Modified: 1764288001000, Headers: []pair{{Name: "Content-Type", Value: "image/jpeg"}}, Meta: []pair{{Name: "mtime", Value: "1764288001.123"}},
				})
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var counted counter
	d := draft{}
	for b.Loop() {
		counted, d = 0, draft{}
		if err := d.write(x.db, &counted); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(d.raw), "raw-bytes")
	b.ReportMetric(float64(seal.PaddedSize(int64(counted))), "sealed-bytes")
	if err := x.change(b.Context(), func(*change) error { x.generation++; return nil }); err != nil {
		b.Fatal(err)
	}
	err := x.change(b.Context(), func(c *change) error {
		for k := range 1000 {
			c.put(objectKey("photos", fmt.Sprintf("2026/holidays/new_%08d.jpg", k)), object{Content: content{ETag: "d41d8cd98f00b204e9800998ecf8427e"}})
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	counted = 0
	began := time.Now()
	d = draft{chain: []link{{Generation: 1}}}
	if err := d.write(x.db, &counted); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "s/thousand-changes")
	b.ReportMetric(float64(seal.PaddedSize(int64(counted))), "bytes/thousand-changes")
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
