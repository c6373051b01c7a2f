package blobs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/unit"
)

// flight is a piece that is being fetched, for all visits that hold it.
type flight struct {
	piece
	run   *run
	users int // visits that hold it; guarded by Reader.mu

	done chan struct{} // closed when the bytes are here, or err
	err  error

	mu      sync.Mutex // guards the fields below
	bytes   []byte     // nil: they are in the cache, or gone
	putting bool       // into the cache: the bytes stay
	weight  int64      // bytes of pool, until the bytes are dropped
	pool    *semaphore.Weighted
}

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

const (
	// aheadBytes is how much of a read is fetched beyond what was written, and firstBytes at
	// its beginning.
	aheadBytes = 24 << 20
	firstBytes = 4 << 20
	// runBytes is how much is fetched in one go, if no piece is longer.
	runBytes = 12 << 20
	// spare is how long bytes stay in memory that nobody took: in the cache they are cheaper.
	// Without a cache they stay for spareAlone.
	spare      = time.Second
	spareAlone = 30 * time.Second
)

// isMissing says that bytes have to be fetched again.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) }

// hold adds the flights of pieces to a visit, and begins those that do not fly yet.
func (v *visit) hold(pieces ...piece) {
	r := v.r
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh []*flight
	for _, p := range pieces {
		f := r.flights[p]
		if f == nil {
			if r.cache.has(p) {
				continue // it has landed meanwhile
			}
			f = &flight{piece: p, done: make(chan struct{}), pool: r.memory}
			r.flights[p] = f
			fresh = append(fresh, f)
		}
		f.users++
		v.holds[p] = f
	}
	for from := 0; from < len(fresh); {
		run := &run{r: r, b: v.b, frozen: make(chan struct{})}
		var length int64
		to := from
		for to < len(fresh) && (to == from || length+fresh[to].length <= runBytes && fresh[to-1].followedBy(v.b, fresh[to])) {
			length += fresh[to].length
			fresh[to].run = run
			to++
		}
		run.flights = fresh[from:to]
		ctx, cancel := context.WithCancel(r.ctx)
		run.cancel = cancel
		r.misses.Add(int64(to - from))
		r.running.Go(func() { run.fetch(ctx, length) })
		from = to
	}
	for _, p := range pieces {
		if f := v.holds[p]; f != nil {
			f.run.users++
		}
	}
}

// followedBy says whether two pieces are fetched best in one go: both are whole stripes.
func (f *flight) followedBy(b *Blob, next *flight) bool {
	return f.offset+f.length == next.offset && b.isStripe(f.piece) && b.isStripe(next.piece)
}

// drop ends the visit's hold on a piece.
func (v *visit) drop(p piece) {
	if f := v.holds[p]; f != nil {
		delete(v.holds, p)
		v.r.release(f)
	}
}

// leave ends all holds of a visit. What nobody waits for is not fetched on.
func (v *visit) leave() {
	for _, f := range v.holds {
		v.r.release(f)
	}
}

func (r *Reader) release(f *flight) {
	r.mu.Lock()
	f.users--
	f.run.users--
	last, idle := f.users == 0, f.run.users == 0
	if last && f.isSpent() {
		r.land(f)
	}
	if idle {
		f.run.cancel()
		for _, other := range f.run.flights {
			if !other.isDone() {
				r.land(other) // a new reader begins anew
			}
		}
	}
	r.mu.Unlock()
	if last {
		r.free(f)
	}
}

// land makes new readers of a piece begin anew. The caller holds r.mu.
func (r *Reader) land(f *flight) {
	if r.flights[f.piece] == f {
		delete(r.flights, f.piece)
	}
}

func (f *flight) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// isSpent says that the bytes are here and nothing waits for them but visits.
func (f *flight) isSpent() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.isDone() && !f.putting
}

// free gives the memory of a flight back.
func (r *Reader) free(f *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isDone() || f.putting {
		return // the run gives it back, or who puts the bytes into the cache
	}
	f.bytes = nil
	f.pool.Release(f.weight)
	f.weight = 0
}

// fetch fetches a run.
func (run *run) fetch(ctx context.Context, length int64) {
	r := run.r
	defer run.cancel()
	if err := r.memory.Acquire(ctx, min(length, r.o.Memory)); err != nil {
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
	err := r.c.ReadRange(ctx, b.directory, b.commitment, start, length, w)
	if errors.Is(err, fetch.ErrUnavailable) && !errors.Is(err, fetch.ErrFrozen) && ctx.Err() == nil && time.Since(b.At) > time.Second {
		// The committee may be another by now.
		if b, err2 := r.finder.ask(ctx, b.ID); err2 == nil {
			err = r.c.ReadRange(ctx, b.directory, b.commitment, start+w.passed, length-w.passed, w)
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

// freeze moves the weight of a flight whose bytes are not here; false: there is no room.
func (f *flight) freeze() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes != nil || f.weight == 0 {
		return true
	}
	frozen := f.run.r.frozen
	if !frozen.TryAcquire(f.weight) {
		return false
	}
	f.pool.Release(f.weight)
	f.pool = frozen
	return true
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

// cutter cuts the bytes of a run into its pieces.
type cutter struct {
	run    *run
	next   int    // flight
	buf    []byte // of it
	passed int64  // bytes of the run
}

func (c *cutter) Write(b []byte) (n int, err error) {
	for n < len(b) {
		f := c.run.flights[c.next]
		if c.buf == nil {
			c.buf = make([]byte, 0, f.length)
		}
		take := min(len(b)-n, int(f.length)-len(c.buf))
		c.buf = append(c.buf, b[n:n+take]...)
		n += take
		c.passed += int64(take)
		if int64(len(c.buf)) == f.length {
			c.arrive(f)
			c.next, c.buf = c.next+1, nil
		}
	}
	return n, nil
}

// arrive ends a flight whose bytes are here. They are put into the cache while they are passed
// on, and stay in memory until then at least.
func (c *cutter) arrive(f *flight) {
	r, b := c.run.r, c.buf
	f.mu.Lock()
	f.bytes, f.putting = b, true
	f.mu.Unlock()
	close(f.done)
	r.running.Go(func() {
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
	})
}

// writeTo writes bytes [from, to) of a piece that has arrived to w, a block at a time, so that
// a slow reader holds no more than that. fs.ErrNotExist means that they are in the cache, or
// have to be fetched again.
func (f *flight) writeTo(w io.Writer, from, to int64) (n int64, err error) {
	buf := buffers.Get().(*[blockBytes]byte)
	defer buffers.Put(buf)
	for from < to {
		f.mu.Lock()
		if f.bytes == nil {
			f.mu.Unlock()
			return n, fs.ErrNotExist
		}
		block := buf[:copy(buf[:], f.bytes[from:to])]
		f.mu.Unlock()
		m, err := w.Write(block)
		n, from = n+int64(m), from+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
