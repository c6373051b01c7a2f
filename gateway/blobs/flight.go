package blobs

import (
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// flight is a piece that is being fetched, for all visits that hold it.
type flight struct {
	piece
	run   *run
	users int // visits that hold it; guarded by Reader.mu

	done chan struct{} // closed when all bytes are here, or err
	err  error

	mu      sync.Mutex    // guards the fields below
	bytes   parts         // that are here; nil: they are in the cache, or gone
	have    int64         // bytes that have come
	more    chan struct{} // closed when have grows; nil: none waits for that
	putting bool          // into the cache: the bytes stay
	weight  int64         // bytes of pool, until the bytes are dropped
	pool    *semaphore.Weighted
}

const (
	// spare is how long bytes stay in memory that no read took: in the cache they are cheaper.
	// Without a cache they stay for spareAlone.
	spare      = time.Second
	spareAlone = 30 * time.Second
)

// isMissing says that bytes have to be fetched again.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) }

// followedBy says whether two pieces are fetched best in one go: both are whole stripes.
func (f *flight) followedBy(b *Blob, next *flight) bool {
	return f.offset+f.length == next.offset && b.isStripe(f.piece) && b.isStripe(next.piece)
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
		return // the run gives it back, or what puts the bytes into the cache
	}
	f.bytes = nil
	f.pool.Release(f.weight)
	f.weight = 0
}

// grow takes a part that has come, which those that wait for it may pass on.
func (f *flight) grow(part []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes, f.have = append(f.bytes, part), f.have+int64(len(part))
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// here is how many bytes have come, and what is closed when more do.
func (f *flight) here() (have int64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == nil {
		f.more = make(chan struct{})
	}
	return f.have, f.more
}

// freeze moves the weight of a flight whose bytes are not here; false: there is no room.
func (f *flight) freeze() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isDone() || f.weight == 0 {
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

// writeTo writes bytes [from, to) of a piece, which have come, to w, a block at a time, so that
// a slow reader holds no more than that. While one of the few places for it is free the blocks
// are the parts themselves, and are not copied. fs.ErrNotExist means that they are in the cache,
// or have to be fetched again.
func (f *flight) writeTo(w io.Writer, from, to int64) (n int64, err error) {
	direct := f.run.r.direct
	for from < to {
		var m int
		select {
		case direct <- struct{}{}:
			m, err = f.writePart(w, from, to)
			<-direct
		default:
			m, err = f.writeCopy(w, from, to)
		}
		n, from = n+int64(m), from+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// directWrites is how many readers are written parts to at a time: a part that is being written
// stays in memory, with the row that it belongs to, beyond what all reads may hold together.
const directWrites = 16

// writePart writes a block that lies in one part, or what the part has of it.
func (f *flight) writePart(w io.Writer, from, to int64) (int, error) {
	f.mu.Lock()
	part := f.bytes.at(from)
	f.mu.Unlock()
	if part == nil {
		return 0, fs.ErrNotExist
	}
	return w.Write(part[:min(int64(len(part)), to-from, blockBytes)])
}

// writeCopy writes a block.
func (f *flight) writeCopy(w io.Writer, from, to int64) (int, error) {
	buf := buffers.Get().(*[blockBytes]byte)
	defer buffers.Put(buf)
	f.mu.Lock()
	if f.bytes == nil {
		f.mu.Unlock()
		return 0, fs.ErrNotExist
	}
	block := buf[:f.bytes.copyAt(buf[:min(blockBytes, to-from)], from)]
	f.mu.Unlock()
	return w.Write(block)
}
