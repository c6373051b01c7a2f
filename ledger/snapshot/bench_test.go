package snapshot

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/state"
)

// onDisk is a state's part of a database.
type onDisk struct{ *kv.DB }

func (d onDisk) Batch() state.Batch { return onDiskBatch{d.DB.Batch()} }

type onDiskBatch struct{ *kv.Batch }

// BenchmarkFetch fetches the state of 10^6 keys of about 150 bytes from two nodes onto a
// disk. Beside the time of all it says how long making the snapshot takes, and what was
// received for each byte of keys and values.
func BenchmarkFetch(b *testing.B) {
	const keys, size = 1_000_000, 138
	db, err := kv.Open(kv.Options{Dir: b.TempDir(), Profile: kv.Small})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := madeIn(b, onDisk{db}, 1<<20, keys, size, 1_000_000)
	apply(b, s, 1_000_001, nil)
	apply(b, s, 1_000_002, nil)
	w := newTown()
	for _, p := range []peer.ID{"a", "b"} {
		w.nodes[p] = honest(b, s).Answer
	}
	n := w.network()
	for b.Loop() {
		began := time.Now()
		to := target(b, n, s)
		made := time.Since(began)
		dir := filepath.Join(b.TempDir(), "fetched")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		fetched, err := kv.Open(kv.Options{Dir: dir, Profile: kv.Small})
		if err != nil {
			b.Fatal(err)
		}
		stats, err := n.Fetch(b.Context(), onDisk{fetched}, to)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(made.Seconds(), "s-to-make")
		b.ReportMetric(time.Since(began).Seconds(), "s-in-all")
		b.ReportMetric(float64(stats.Bytes)/float64(keys*(12+size)), "received/state")
		if err := fetched.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
