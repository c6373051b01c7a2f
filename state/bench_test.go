package state

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/unit"
)

// disk is package kv's database as a KV.
type disk struct{ *kv.DB }

func (d disk) Batch() Batch { return d.DB.Batch() }

// BenchmarkCommit reads and commits what 1,000 transactions of two keys each do, at
// 10^6 keys, on a real disk. Beside it: a proof of two heights ago, and opening.
func BenchmarkCommit(b *testing.B) {
	const keys, buckets, perBlock = 1_000_000, 1 << 20, 2000
	db, err := kv.Open(kv.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s, err := Open(disk{db}, testSalt, buckets)
	if err != nil {
		b.Fatal(err)
	}
	name := func(i int) []byte { return binary.BigEndian.AppendUint64([]byte("a-twenty-byte-"), uint64(i)) }
	height := unit.Height(0)
	write := func(changes []Change) {
		u, err := s.Prepare(height, changes)
		if err == nil {
			err = s.Commit(u)
		}
		if err != nil {
			b.Fatal(err)
		}
		height++
	}
	for from := 0; from < keys; from += 50_000 {
		var c []Change
		for i := range 50_000 {
			c = append(c, Change{Key: name(from + i), Value: make([]byte, 20)})
		}
		write(c)
	}
	r := rand.New(rand.NewSource(1))
	b.Run("block", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			seen := map[int]bool{}
			var c []Change
			for len(c) < perBlock {
				i := r.Intn(keys)
				if seen[i] {
					continue
				}
				seen[i] = true
				c = append(c, Change{Key: name(i), Value: fmt.Appendf(nil, "%20d", r.Int63())})
			}
			b.StartTimer()
			at, err := s.At(height - 1)
			if err != nil {
				b.Fatal(err)
			}
			for _, x := range c { // as the transactions do
				if _, _, err := at.Get(x.Key); err != nil {
					b.Fatal(err)
				}
			}
			write(c)
		}
	})
	b.Run("prove", func(b *testing.B) {
		var sizes []int
		for range b.N {
			p, err := s.Prove(height-2, name(r.Intn(keys)))
			if err != nil {
				b.Fatal(err)
			}
			sizes = append(sizes, len(p.Encode())-len(p.Value))
		}
		reportSizes(b, sizes)
	})
	b.Run("open", func(b *testing.B) {
		for range b.N {
			if _, err := Open(disk{db}, testSalt, buckets); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGroundBucket commits 2,000 changes of keys that were all ground into one
// bucket, which holds 10^5 of them, on a real disk; beside it: proofs from there.
func BenchmarkGroundBucket(b *testing.B) {
	const keys, buckets, perBlock = 100_000, 1 << 8, 2000
	db, err := kv.Open(kv.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s, err := Open(disk{db}, testSalt, buckets)
	if err != nil {
		b.Fatal(err)
	}
	victim := []byte("h")
	ground := append(grind(buckets, BucketOf(testSalt, buckets, victim), keys), victim)
	height := unit.Height(0)
	write := func(changes []Change) (size int) {
		u, err := s.Prepare(height, changes)
		if err == nil {
			for _, p := range u.pages {
				size += len(p.now)
			}
			err = s.Commit(u)
		}
		if err != nil {
			b.Fatal(err)
		}
		height++
		return size
	}
	for rest := ground; len(rest) > 0; rest = rest[min(len(rest), 20_000):] {
		var c []Change
		for _, k := range rest[:min(len(rest), 20_000)] {
			c = append(c, Change{Key: k, Value: make([]byte, 20)})
		}
		write(c)
	}
	r := rand.New(rand.NewSource(1))
	b.Run("block", func(b *testing.B) {
		size := 0
		for range b.N {
			b.StopTimer()
			var c []Change
			for _, i := range r.Perm(keys)[:perBlock] {
				c = append(c, Change{Key: ground[i], Value: fmt.Appendf(nil, "%20d", r.Int63())})
			}
			b.StartTimer()
			size += write(c)
		}
		b.ReportMetric(float64(size)/float64(b.N*perBlock), "page-B/key")
	})
	b.Run("prove", func(b *testing.B) {
		var sizes []int
		for range b.N {
			p, err := s.Prove(height-2, ground[r.Intn(keys)])
			if err != nil {
				b.Fatal(err)
			}
			sizes = append(sizes, len(p.Encode())-len(p.Value)+34*12) // as in 2^20 buckets
		}
		reportSizes(b, sizes)
	})
}

// reportSizes reports the bytes of proofs beside their values.
func reportSizes(b *testing.B, sizes []int) {
	slices.Sort(sizes)
	b.ReportMetric(float64(sizes[len(sizes)/2]), "B/proof")
	b.ReportMetric(float64(sizes[len(sizes)-1]), "B/longest")
}
