package blobs

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/unit"
)

// run is pieces of a blob that follow each other and are fetched in one go.
type run struct {
	r       *Reader
	b       *Blob
	flights []*flight
	users   int // of its flights together; guarded by Reader.mu
	cancel  context.CancelFunc

	going  atomic.Bool   // there was memory for it
	frozen chan struct{} // closed when it first waits for a challenge to end

	mu     sync.Mutex  // guards the fields below
	until  unit.Height // at which the challenge ends, by the latest word
	waits  bool        // frozen is closed
	turned bool        // away: there was no room for one more run that waits
}

// runBytes is how much is fetched in one go, if no piece is longer.
const runBytes = 12 << 20

// fetch fetches a run.
func (run *run) fetch(ctx context.Context, length int64) {
	r := run.r
	defer run.cancel()
	r.backlog.change(1, 0)
	defer r.backlog.change(-1, 0)
	if err := r.acquire(ctx, min(length, r.o.Memory)); err != nil {
		run.end(err)
		return
	}
	run.going.Store(true)
	left := min(length, r.o.Memory)
	for _, f := range run.flights {
		f.weight = min(f.length, left)
		left -= f.weight
	}
	ctx = fetch.OnFrozen(ctx, run.freeze)
	w := &cutter{run: run}
	start, b := run.flights[0].offset, run.b
	err := r.c.ReadParts(ctx, b.directory, b.commitment, start, length, w.take)
	if errors.Is(err, fetch.ErrUnavailable) && !errors.Is(err, fetch.ErrFrozen) && ctx.Err() == nil && time.Since(b.At) > time.Second {
		// The committee may be another by now.
		if b, err2 := r.finder.ask(ctx, b.ID); err2 == nil {
			err = r.c.ReadParts(ctx, b.directory, b.commitment, start+w.passed, length-w.passed, w.take)
		} else if client.IsGone(err2) {
			err = err2
		}
	}
	if run.isTurned() {
		err = run.frozenError()
	}
	run.end(err)
}

// freeze is told each time the run waits for a challenge to end. The first time the weight of
// the bytes that it waits for goes from the reader's memory to what waiting runs may hold: a
// challenge lasts minutes, and reads of bytes that can be had need the memory. Where there is
// no room for it the run ends.
func (run *run) freeze(until unit.Height) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.until = max(run.until, until)
	if run.waits {
		return
	}
	run.waits = true
	run.r.waits.Add(1)
	close(run.frozen)
	for _, f := range run.flights {
		if !f.freeze() {
			run.turned = true
			run.cancel()
			return
		}
	}
}

func (run *run) isTurned() bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.turned
}

func (run *run) frozenError() error {
	run.mu.Lock()
	defer run.mu.Unlock()
	return &FrozenError{Until: run.until}
}

// end ends the flights that have no bytes yet.
func (run *run) end(err error) {
	if err == nil {
		err = errors.New("fewer bytes were read than asked for") // it cannot happen
	}
	for _, f := range run.flights {
		select {
		case <-f.done:
			continue
		default:
		}
		f.err = err
		run.r.mu.Lock()
		run.r.land(f)
		run.r.mu.Unlock()
		close(f.done)
		run.r.free(f)
	}
}

// cutter cuts the bytes of a run into its pieces. It keeps them as they come: a copy of them
// would cost as much as to send them on, and twice the memory.
type cutter struct {
	run    *run
	next   int   // flight
	length int64 // bytes of it
	passed int64 // bytes of the run
}

func (c *cutter) take(b []byte) error {
	for whole := true; len(b) > 0; {
		f := c.run.flights[c.next]
		n := min(int64(len(b)), f.length-c.length)
		part := b[:n:n]
		if whole = whole && n == int64(len(b)); !whole {
			part = bytes.Clone(part) // all of b would stay with each of its pieces
		}
		f.grow(part)
		b, c.length, c.passed = b[n:], c.length+n, c.passed+n
		if c.length == f.length {
			c.arrive(f)
			c.next, c.length = c.next+1, 0
		}
	}
	return nil
}

// arrive ends a flight whose bytes are here. They are put into the cache when there is time for
// that, and stay in memory until then at least.
func (c *cutter) arrive(f *flight) {
	r := c.run.r
	f.mu.Lock()
	all := f.bytes
	f.putting = true
	f.mu.Unlock()
	close(f.done)
	if r.cache.max <= 0 {
		r.put(f, all)
		return
	}
	r.backlog.add(f, all, func(write func()) { r.running.Go(write) })
}

// acquire takes memory for a run. One that has to wait makes pieces go into the cache.
func (r *Reader) acquire(ctx context.Context, n int64) error {
	if r.memory.TryAcquire(n) {
		return nil
	}
	r.backlog.change(0, 1)
	defer r.backlog.change(0, -1)
	return r.memory.Acquire(ctx, n)
}

// put puts the bytes of a flight into the cache. Reads that follow find them there.
func (r *Reader) put(f *flight, b parts) {
	kept, stay := r.cache.put(f.piece, b), spareAlone
	if kept {
		stay = spare
	}
	f.mu.Lock()
	f.putting = false
	f.mu.Unlock()
	r.mu.Lock()
	unused := f.users == 0
	if kept || unused {
		r.land(f)
	}
	r.mu.Unlock()
	if unused {
		r.free(f)
		return
	}
	time.AfterFunc(stay, func() {
		r.mu.Lock()
		r.land(f)
		r.mu.Unlock()
		r.free(f)
	})
}
