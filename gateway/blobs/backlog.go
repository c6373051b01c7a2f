package blobs

import (
	"sync"
	"time"
)

// backlog is pieces that wait to be written into the cache. Writing costs as much of a
// processor as fetching does, and a read waits for neither the disk nor its page cache: pieces
// wait while others are fetched and passed on, in the memory that fetched bytes have anyway,
// until a fetch needs that memory or they have waited for putDelay.
type backlog struct {
	put func(*flight, parts)

	mu       sync.Mutex // guards the fields below
	pieces   []waitingPiece
	writing  bool          // a goroutine takes pieces
	fetching int           // runs that fetch, and visits for which something was fetched
	short    int           // runs that wait for memory
	wake     chan struct{} // of one: something of the above has changed
}

type waitingPiece struct {
	f     *flight
	bytes parts
	since time.Time
}

// putDelay is how long a piece waits at most.
const putDelay = time.Second

func newBacklog(put func(*flight, parts)) *backlog {
	return &backlog{put: put, wake: make(chan struct{}, 1)}
}

// add adds a piece. begin is called with what writes it, where nothing writes yet.
func (b *backlog) add(f *flight, bytes parts, begin func(func())) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pieces = append(b.pieces, waitingPiece{f, bytes, time.Now()})
	if !b.writing {
		b.writing = true
		begin(b.write)
	}
}

// change changes the runs and visits that fetch, and the runs that wait for memory.
func (b *backlog) change(fetching, short int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetching, b.short = b.fetching+fetching, b.short+short
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// write writes pieces, each in its time, until there are none.
func (b *backlog) write() {
	late := time.NewTimer(putDelay)
	defer late.Stop()
	for {
		b.mu.Lock()
		if len(b.pieces) == 0 {
			b.pieces, b.writing = nil, false
			b.mu.Unlock()
			return
		}
		p := b.pieces[0]
		left := putDelay - time.Since(p.since)
		due := b.fetching == 0 || b.short > 0 || left <= 0
		if due {
			b.pieces[0] = waitingPiece{}
			b.pieces = b.pieces[1:]
		}
		b.mu.Unlock()
		if due {
			b.put(p.f, p.bytes)
			continue
		}
		late.Reset(left)
		select {
		case <-b.wake:
		case <-late.C:
		}
	}
}
