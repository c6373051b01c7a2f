package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// fillStore keeps n blobs of about 190 KB of fragments at places 0 and 1.
func fillStore(t testing.TB, s *Store, n int) []*encoded {
	t.Helper()
	blobs := make([]*encoded, n)
	for i := range blobs {
		blobs[i] = encode(t, 4, 16384, randomBytes(uint64(1000+i), 2*3*16384))
		hold(t, s, blobs[i], 0, 1)
	}
	return blobs
}

func TestDroppedSpaceIsGivenBack(t *testing.T) {
	s := open(t, Options{})
	const n, keepEvery = 800, 10
	blobs := fillStore(t, s, n)
	full := s.Usage()
	for i, e := range blobs {
		if i%keepEvery != 0 {
			must(t, s.Drop(ctx, e.c.ID))
		}
	}
	must(t, s.Collect(ctx))
	u := s.Usage()
	live := u.Bytes + u.Proofs
	t.Logf("held %d MB on %d MB of disk, then %d MB on %d MB (%.2f)", full.Bytes>>20, full.DiskBytes>>20, u.Bytes>>20, u.DiskBytes>>20, float64(u.DiskBytes)/float64(live))
	if u.DiskBytes > live*3/2 {
		t.Errorf("%d bytes of disk for %d that are live", u.DiskBytes, live)
	}
	for i, e := range blobs {
		p := e.piece(t, 0, 1, blob.Row)
		if i%keepEvery == 0 {
			readable(t, s, e, p)
		} else if _, err := s.Fragment(p.Fragment.Position()); !errors.Is(err, ErrMissing) {
			t.Errorf("blob %d is back: %v", i, err)
		}
	}
	sound(t, s)
}

func TestPutsGoOnWhileSpaceIsGivenBack(t *testing.T) {
	s := open(t, Options{})
	blobs := fillStore(t, s, 200)
	for _, e := range blobs[20:] {
		must(t, s.Drop(ctx, e.c.ID))
	}
	var collected atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer collected.Store(true)
		if err := s.Collect(ctx); err != nil {
			t.Error(err)
		}
	})
	var more []*encoded
	for i := 0; !collected.Load() || i < 10; i++ {
		e := encode(t, 4, 4096, randomBytes(uint64(5000+i), 20_000))
		hold(t, s, e, 2)
		more = append(more, e)
		if i%2 == 0 {
			must(t, s.Drop(ctx, e.c.ID))
		}
	}
	wg.Wait()
	for i, e := range more {
		p := e.piece(t, 0, 2, blob.Column)
		if i%2 == 1 {
			readable(t, s, e, p)
		} else if held, err := s.Has(p.Fragment.Position()); held || err != nil {
			t.Errorf("dropped blob %d: %v, %v", i, held, err)
		}
	}
	sound(t, s)
}

// rotFragment changes a byte of a fragment in the value logs of a closed store.
func rotFragment(t testing.TB, dir string, fragment []byte) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	must(t, err)
	for _, name := range logs {
		b, err := os.ReadFile(name)
		must(t, err)
		if i := bytes.Index(b, fragment); i >= 0 {
			b[i+len(fragment)/2] ^= 1
			must(t, os.WriteFile(name, b, 0o600))
			return
		}
	}
	t.Fatal("the fragment is in no value log")
}

func TestAFlippedByteIsAMissingFragment(t *testing.T) {
	for _, by := range []string{"scrub", "read"} {
		t.Run(by, func(t *testing.T) {
			dir := t.TempDir()
			e := encode(t, 4, 4096, randomBytes(20, 50_000))
			zeros := encode(t, 4, 4096, make([]byte, 2*3*4096))
			s, err := Open(Options{Dir: dir})
			must(t, err)
			all := hold(t, s, e, 0, 3)
			hold(t, s, zeros, 0, 1)
			must(t, s.Close())
			victim := all[2]
			rotFragment(t, dir, victim.Fragment.Bytes())
			rotFragment(t, dir, zeros.piece(t, 0, 0, blob.Row).Fragment.Bytes())

			s = open(t, Options{Dir: dir})
			at := victim.Fragment.Position()
			if by == "scrub" {
				res, err := s.Scrub(ctx)
				must(t, err)
				if res.Rotten != 2 || res.Addresses == 0 || res.Ghosts != 0 {
					t.Errorf("scrub: %+v", res)
				}
				if got := s.Usage().Rotten; got != 1+2 {
					t.Errorf("%d positions rotten, want 3", got)
				}
				sound(t, s)
			}
			_, err = s.Fragment(at)
			wantErr(t, err, ErrMissing)
			if held, err := s.Has(at); held || err != nil {
				t.Errorf("has: %v, %v", held, err)
			}
			gone, err := s.Missing(e.c, []blob.Place{0, 3})
			must(t, err)
			if len(gone) != 1 || gone[0] != at {
				t.Errorf("missing %v, want %v", gone, at)
			}
			must(t, s.Collect(ctx)) // must not cost more than what has rotted
			for i, p := range all {
				if i != 2 {
					readable(t, s, e, p)
				}
			}
			must(t, s.Put(ctx, e.c.ID, victim)) // repair
			readable(t, s, e, victim)
			gone, err = s.Missing(e.c, []blob.Place{0, 3})
			must(t, err)
			if len(gone) != 0 {
				t.Errorf("after repair: %v", gone)
			}
			res, err := s.Scrub(ctx)
			must(t, err)
			if by == "scrub" && res.Rotten != 0 {
				t.Errorf("second scrub: %+v", res)
			}
			sound(t, s)
		})
	}
}

func TestARottenWitnessIsRepairedWithItsFragments(t *testing.T) {
	dir := t.TempDir()
	e := encode(t, 31, 512, randomBytes(21, 50_000))
	s, err := Open(Options{Dir: dir})
	must(t, err)
	all := hold(t, s, e, 7, 8)
	must(t, s.Close())
	rotFragment(t, dir, all[0].Witness.Share)

	s = open(t, Options{Dir: dir})
	at := all[0].Fragment.Position()
	_, err = s.Witness(e.c.ID, at.Stripe, at.Place)
	wantErr(t, err, ErrMissing)
	gone, err := s.Missing(e.c, []blob.Place{7, 8})
	must(t, err)
	if len(gone) != 2 || gone[0] != at {
		t.Errorf("missing: %v", gone)
	}
	must(t, s.Put(ctx, e.c.ID, all[0]))
	must(t, s.Put(ctx, e.c.ID, all[1]))
	readable(t, s, e, all[0])
	readable(t, s, e, all[1])
	sound(t, s)
}

func TestAGhostIsBuriedByScrub(t *testing.T) {
	s := open(t, Options{})
	e := encode(t, 4, 4096, randomBytes(22, 50_000))
	all := hold(t, s, e, 1)
	ghost := randomBytes(23, 5000)
	b := s.db.Batch()
	b.Set(addressKey(tagBytes, blob.AddressOf(ghost)), ghost)
	b.Set(witnessKey(slot{blob: e.c.ID, place: 3}), all[0].Witness.Encode())
	must(t, b.Commit(true))
	_, err := s.Witness(e.c.ID, 0, 3)
	wantErr(t, err, ErrMissing)
	res, err := s.Scrub(ctx)
	must(t, err)
	if res.Ghosts != 2 || res.Rotten != 0 {
		t.Errorf("scrub: %+v", res)
	}
	if res, err = s.Scrub(ctx); err != nil || res.Ghosts != 0 {
		t.Errorf("second scrub: %+v, %v", res, err)
	}
	sound(t, s)
}

func TestAFullDiskIsAFullStore(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=112m"); err != nil {
		t.Skip("needs the right to mount a small file system: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) }) // after the store is closed
	s := open(t, Options{Dir: filepath.Join(dir, "store"), ReserveFree: 64 << 20})
	var held []Piece
	var e *encoded
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		next := encode(t, 4, 16384, randomBytes(uint64(3000+i), 2*3*16384))
		if err = s.Keep(ctx, next.m); err == nil {
			all := next.pieces(t, 0, 1, 2, 3)
			if err = s.Put(ctx, next.c.ID, all...); err == nil {
				e, held = next, all
			}
		}
	}
	wantErr(t, err, ErrFull)
	for _, p := range held {
		readable(t, s, e, p)
	}
	sound(t, s)
}

// BenchmarkIngest is synced puts of 64 KB fragments from 32 writers, as a ratio to
// writing the same bytes to a file with an fsync after each 8 MiB, on the same disk.
func BenchmarkIngest(b *testing.B) {
	const writers, rounds = 32, 40
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		s, err := Open(Options{Dir: filepath.Join(dir, "store")})
		must(b, err)
		work := make([][]*encoded, writers)
		bytes := 0
		for w := range work {
			for i := range rounds / 4 {
				e := encode(b, 4, 21846, randomBytes(uint64(w*rounds+i), 2*3*21846))
				must(b, s.Keep(ctx, e.m))
				work[w] = append(work[w], e)
			}
		}
		pieces := make([][]Piece, writers)
		for w := range work {
			for _, e := range work[w] {
				for p := range blob.Place(4) {
					piece := e.piece(b, 0, p, blob.Row)
					bytes += len(piece.Fragment.Bytes())
					pieces[w] = append(pieces[w], piece)
				}
			}
		}
		raw := rawRate(b, dir, bytes)
		b.StartTimer()
		began := time.Now()
		var wg sync.WaitGroup
		for w := range pieces {
			wg.Go(func() {
				for _, p := range pieces[w] {
					if err := s.Put(context.Background(), p.Fragment.Position().Blob, p); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		rate := float64(bytes) / time.Since(began).Seconds()
		b.StopTimer()
		again := rawRate(b, dir, bytes)
		b.ReportMetric(rate/1e6, "MB/s")
		b.ReportMetric((raw+again)/2/1e6, "raw-MB/s")
		b.ReportMetric(rate/((raw+again)/2), "of-raw")
		must(b, s.Close())
		b.StartTimer()
	}
}

func rawRate(b *testing.B, dir string, bytes int) float64 {
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("raw%d", time.Now().UnixNano())))
	must(b, err)
	defer f.Close()
	buf := randomBytes(1, 8<<20)
	began := time.Now()
	for n := 0; n < bytes; n += len(buf) {
		_, err := f.Write(buf)
		must(b, err)
		must(b, f.Sync())
	}
	return float64(bytes) / time.Since(began).Seconds()
}

// BenchmarkMissing is the recovery loop's question about a large blob that is held.
func BenchmarkMissing(b *testing.B) {
	s := open(b, Options{})
	e := encode(b, 7, 16, randomBytes(1, 15*16*2000))
	hold(b, s, e, 0, 1, 2, 3)
	for b.Loop() {
		gone, err := s.Missing(e.c, []blob.Place{0, 1, 2, 3})
		if err != nil || len(gone) != 0 {
			b.Fatal(len(gone), err)
		}
	}
	b.ReportMetric(float64(2*4*len(e.stripes)), "positions")
}
