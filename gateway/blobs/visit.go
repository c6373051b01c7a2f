package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/walrus-network/walrus/fetch"
)

const (
	// aheadBytes is how much of a read is fetched beyond what was written, and firstBytes at
	// its beginning.
	aheadBytes = 24 << 20
	firstBytes = 8 << 20
)

// visit is one read through a Reader.
type visit struct {
	r          *Reader
	b          *Blob
	window     int64 // bytes that are fetched ahead
	ahead, end int64 // up to where it was begun to fetch; where the range ends
	begun      bool  // a byte was written
	fetches    bool  // or has: what it fetched waits with the cache for it
	holds      map[piece]*flight
}

// lookAhead begins to fetch what follows, once half of what was fetched ahead is used up. It
// looks further each time: a reader that takes nothing holds little.
func (v *visit) lookAhead(offset int64) {
	if v.ahead >= v.end || v.ahead-offset > v.window/2 {
		return
	}
	defer func() { v.window = min(2*v.window, aheadBytes) }()
	var missing []piece
	for v.ahead = max(v.ahead, offset); v.ahead < min(v.end, offset+v.window); {
		p := v.r.partAt(v.b, v.ahead, v.end)
		if !v.r.cache.has(p.piece) && v.holds[p.piece] == nil {
			missing = append(missing, p.piece)
		}
		v.ahead += p.to - p.from
	}
	if len(missing) > 0 {
		v.hold(missing...)
	}
}

// passTries bounds how often a piece is fetched again that left the cache before it was read.
const passTries = 4

// pass writes a part, as it is fetched or from the cache.
func (v *visit) pass(ctx context.Context, p part, w io.Writer) (err error) {
	step := func(n int64, err error) bool {
		v.begun = v.begun || n > 0
		p.from += n
		return p.from == p.to || err != nil && !isMissing(err)
	}
	for range passTries {
		if f := v.holds[p.piece]; f != nil {
			ended := f.isDone()
			n, err := v.passFlight(ctx, f, p, w)
			if ended && errors.Is(err, fetch.ErrFrozen) {
				v.drop(p.piece) // it ended before its bytes were wanted: the challenge may be over
				v.hold(p.piece)
				continue
			}
			v.drop(p.piece)
			if step(n, err) {
				return err
			}
		}
		n, err := v.r.cache.writeTo(w, p.piece, p.from, p.to)
		if step(n, err) {
			v.r.hits.Add(1)
			return err
		}
		v.hold(p.piece)
	}
	return fmt.Errorf("%w: what it fetches leaves its cache before it is read", ErrBusy)
}

// passFlight writes a part of a flight, as its bytes come.
func (v *visit) passFlight(ctx context.Context, f *flight, p part, w io.Writer) (n int64, err error) {
	for at := p.from; at < p.to; {
		have, err := v.wait(ctx, f, at)
		if err != nil {
			return n, err
		}
		m, err := f.writeTo(w, at, min(have, p.to))
		n, at, v.begun = n+m, at+m, v.begun || m > 0
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// wait waits until a flight has bytes beyond from, or has ended, and gives how many it has.
// Before the first byte of the read patience is short.
func (v *visit) wait(ctx context.Context, f *flight, from int64) (have int64, err error) {
	var patience, limit <-chan time.Time
	var frozen <-chan struct{}
	if !v.begun {
		short, long := time.NewTimer(v.r.o.Patience), time.NewTimer(v.r.o.Limit)
		defer short.Stop()
		defer long.Stop()
		patience, limit, frozen = short.C, long.C, f.run.frozen
	}
	for spent, waits := false, false; ; {
		have, more := f.here()
		if have > from && !f.isDone() { // else it may have failed
			return have, nil
		}
		select {
		case <-f.done:
			return f.length, f.err
		case <-more:
			continue
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-patience:
			spent = true
		case <-frozen:
			waits, frozen = true, nil
		case <-limit:
			switch {
			case waits:
				return 0, f.run.frozenError()
			case !f.run.going.Load():
				return 0, fmt.Errorf("%w: other reads have waited for %s", ErrBusy, v.r.o.Limit)
			}
			return 0, fmt.Errorf("%w within %s", fetch.ErrUnavailable, v.r.o.Limit)
		}
		if spent && waits {
			return 0, f.run.frozenError()
		}
	}
}

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
	if len(fresh) > 0 && !v.fetches {
		v.fetches = true
		r.backlog.change(1, 0)
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

// drop ends the visit's hold on a piece.
func (v *visit) drop(p piece) {
	if f := v.holds[p]; f != nil {
		delete(v.holds, p)
		v.r.release(f)
	}
}

// leave ends all holds of a visit. What no visit waits for is not fetched on.
func (v *visit) leave() {
	if v.fetches {
		v.r.backlog.change(-1, 0)
	}
	for _, f := range v.holds {
		v.r.release(f)
	}
}
