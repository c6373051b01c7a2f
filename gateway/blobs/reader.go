package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ErrBusy is returned where a gateway does all that it can do at once.
var ErrBusy = errors.New("the gateway is busy")

// FrozenError is returned where the first bytes do not come because a challenge runs. It is
// fetch.ErrFrozen as well.
type FrozenError struct {
	Until unit.Height // at which the nodes want to be asked again; 0: they did not say
}

func (e *FrozenError) Error() string {
	return fmt.Sprintf("a storage challenge runs until about block %d, and nodes hold the blob's bytes back until then", e.Until)
}

// Is makes the error match fetch.ErrFrozen.
func (e *FrozenError) Is(target error) bool { return target == fetch.ErrFrozen }

// ReaderOptions are the limits of a Reader.
type ReaderOptions struct {
	Dir      string        // of the cache
	MaxBytes int64         // of the cache; 0: there is none
	Patience time.Duration // for the first bytes while a challenge runs
	Limit    time.Duration // for the first bytes in any case
	Memory   int64         // bytes that are fetched and not passed on yet, of all readers; and 1/frozenPart more
	Log      *slog.Logger  // nil: silent
}

// frozenPart is the part of Memory, as 1/frozenPart, that runs which wait for a challenge to end
// may hold beside it. Beyond it such a run ends at once.
const frozenPart = 2

// DefaultReader are the limits of a gateway.
func DefaultReader(dir string) ReaderOptions {
	return ReaderOptions{Dir: dir, MaxBytes: 4 << 30, Patience: 5 * time.Second, Limit: 30 * time.Second, Memory: 64 << 20}
}

// Reader reads blobs through a cache.
type Reader struct {
	c       *client.Client
	o       ReaderOptions
	cache   *cache
	finder  *finder
	backlog *backlog // of what was fetched and is not in the cache yet
	memory  *semaphore.Weighted
	direct  chan struct{}       // places of those that are written parts without a copy
	frozen  *semaphore.Weighted // memory of runs that wait for a challenge to end

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // guards flights, and the users of each and of its run
	flights map[piece]*flight

	hits, misses, waits atomic.Int64
}

// ReaderStats counts what a Reader did.
type ReaderStats struct {
	Hits, Misses int64 // pieces that came from the cache, and that were fetched
	Waits        int64 // for a challenge to end
	CacheBytes   int64
}

// NewReader makes a Reader of the client's network. The client stays the caller's.
func NewReader(c *client.Client, o ReaderOptions) (*Reader, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Reader{c: c, o: o, memory: semaphore.NewWeighted(o.Memory), frozen: semaphore.NewWeighted(o.Memory / frozenPart), direct: make(chan struct{}, directWrites), flights: map[piece]*flight{}}
	r.backlog = newBacklog(r.put)
	var err error
	if r.cache, err = openCache(o.Dir, o.MaxBytes, o.Log); err != nil {
		return nil, err
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.finder, err = newFinder(r.ctx, c)
	return r, err
}

// Close ends the reading that is under way. What is in the cache stays.
func (r *Reader) Close() error {
	r.stop()
	r.running.Wait()
	r.finder.asking.Wait()
	return nil
}

// Find finds a blob that can be read. What the ledger said is used for a moment, and longer
// while the ledger is asked anew. Errors: those of client.Find, and ErrBusy.
func (r *Reader) Find(ctx context.Context, id blob.ID) (*Blob, error) { return r.finder.find(ctx, id) }

// Now is the ledger as it is now, with keys read in the same question.
func (r *Reader) Now(ctx context.Context, keys ...[]byte) (report.Now, error) {
	v, err := r.c.View(ctx)
	if err != nil {
		return report.Now{}, err
	}
	return report.Look(v, time.Now(), keys...)
}

// Chain is the network's.
func (r *Reader) Chain() token.ChainID { return r.c.Chain() }

// Forget makes the next Find ask the ledger.
func (r *Reader) Forget(id blob.ID) { r.finder.forget(id) }

// Stats is what the reader did so far.
func (r *Reader) Stats() ReaderStats {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	return ReaderStats{r.hits.Load(), r.misses.Load(), r.waits.Load(), r.cache.bytes}
}

// Of a long stripe.
const (
	longStripe = 12 << 20 // bytes beyond which a stripe is several pieces
	cutBytes   = 4 << 20  // of a piece of it
)

// pieceAt is the piece that holds a byte of a blob: the stripe, or a part of a long one.
func (b *Blob) pieceAt(offset int64) piece {
	l := b.commitment.Layout
	i := int(offset / l.StripeOffset(1))
	p := piece{b.ID, l.StripeOffset(i), l.StripeBytes(i)}
	if p.length > longStripe {
		end := p.offset + p.length
		p.offset += (offset - p.offset) / cutBytes * cutBytes
		p.length = min(cutBytes, end-p.offset)
	}
	return p
}

func (b *Blob) isStripe(p piece) bool {
	l := b.commitment.Layout
	i := int(p.offset / l.StripeOffset(1))
	return p.offset == l.StripeOffset(i) && p.length == l.StripeBytes(i)
}

// part is what a read takes of a piece.
type part struct {
	piece
	from, to int64 // bytes, in the piece
}

// partAt is the first part of bytes [offset, end) of a blob. Where it is at most half of its
// piece it is a piece by itself: then only the symbols that it covers are fetched. Else the
// whole piece is, which costs no more.
func (r *Reader) partAt(b *Blob, offset, end int64) part {
	p := b.pieceAt(offset)
	to := min(p.offset+p.length, end)
	if to-offset <= p.length/2 && !r.cache.has(p) {
		return part{piece: piece{b.ID, offset, to - offset}, to: to - offset}
	}
	return part{piece: p, from: offset - p.offset, to: to - p.offset}
}

// ReadRange writes bytes [offset, offset+length) of a blob to w, in order. On an error the
// bytes already written are a true prefix of the range.
//
// Errors: fetch.ErrRange; ErrBusy before the first byte; a FrozenError, after it too where too
// many reads wait for a challenge to end; those of fetch.Read; the error of ctx or of w.
func (r *Reader) ReadRange(ctx context.Context, b *Blob, offset, length int64, w io.Writer) error {
	if offset < 0 || length < 0 || offset > b.Size || length > b.Size-offset {
		return fmt.Errorf("bytes %d to %d of %d: %w", offset, offset+length, b.Size, fetch.ErrRange)
	}
	v := &visit{r: r, b: b, window: firstBytes, ahead: offset, end: offset + length, holds: map[piece]*flight{}}
	defer v.leave()
	for offset < v.end {
		v.lookAhead(offset)
		p := r.partAt(b, offset, v.end)
		if err := v.pass(ctx, p, w); err != nil {
			return err
		}
		offset += p.to - p.from
	}
	return nil
}
