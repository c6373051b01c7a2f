package blobs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/registry"
)

// Blob is a blob that can be read.
type Blob struct {
	ID    blob.ID
	Size  int64          // bytes
	Entry registry.Entry // the ledger's, as it was At
	At    time.Time

	commitment blob.Commitment
	directory  *fetch.Directory
}

const (
	// freshFor is how long an answer of the ledger is taken as it is.
	freshFor = 15 * time.Second
	// staleFor is how long it is still used while the ledger is asked again, or is silent.
	staleFor = 10 * time.Minute
	// findLimit is how long a question to the ledger may take.
	findLimit = 20 * time.Second
	// findsKept is the number of blobs whose answers are kept.
	findsKept = 4096
	// findsAtOnce bounds the questions about blobs that readers name.
	findsAtOnce = 32
	// findsWaiting bounds the questions that are under way or wait for a place, and, by itself,
	// the readers that wait for them: IDs cost nothing to make up.
	findsWaiting = 512
	// goneFor is how long it is remembered that a blob cannot be read.
	goneFor = 2 * time.Second
)

// finder asks the ledger for blobs, once for all that ask at the same time, and keeps the
// answers for a moment.
type finder struct {
	c     *client.Client
	ctx   context.Context // ends with the reader
	group singleflight.Group
	slots chan struct{}

	readers, questions atomic.Int64 // under way

	mu    sync.Mutex // guards the fields below
	kept  *simplelru.LRU[blob.ID, *Blob]
	gone  *simplelru.LRU[blob.ID, absence]
	asked map[blob.ID]bool      // anew, beside readers that use the old answer
	valid map[blob.ID]*question // whose answer may be kept: the last since the blob was forgotten

	asking sync.WaitGroup // questions under way
}

// absence is the ledger's word that a blob cannot be read.
type absence struct {
	err error
	at  time.Time
}

// question is one to the ledger about a blob. It has a field so that no two are at one address.
type question struct{ id blob.ID }

func newFinder(ctx context.Context, c *client.Client) (*finder, error) {
	f := &finder{c: c, ctx: ctx, slots: make(chan struct{}, findsAtOnce), asked: map[blob.ID]bool{}, valid: map[blob.ID]*question{}}
	var err error
	if f.kept, err = simplelru.NewLRU[blob.ID, *Blob](findsKept, nil); err != nil {
		return nil, err
	}
	f.gone, err = simplelru.NewLRU[blob.ID, absence](findsKept, nil)
	return f, err
}

func (f *finder) find(ctx context.Context, id blob.ID) (*Blob, error) {
	f.mu.Lock()
	b, ok := f.kept.Get(id)
	age := time.Duration(0)
	if ok {
		age = time.Since(b.At)
	}
	none, absent := f.gone.Get(id)
	again := ok && age > freshFor && age <= staleFor && !f.asked[id]
	if again {
		f.asked[id] = true
	}
	f.mu.Unlock()
	if again {
		go func() {
			f.ask(f.ctx, id)
			f.mu.Lock()
			delete(f.asked, id)
			f.mu.Unlock()
		}()
	}
	if ok && age <= staleFor {
		return b, nil
	}
	if absent && time.Since(none.at) <= goneFor {
		return nil, none.err
	}
	return f.ask(ctx, id)
}

// ask asks the ledger. What it says counts at once: a blob that has ended is forgotten.
func (f *finder) ask(ctx context.Context, id blob.ID) (*Blob, error) {
	defer f.readers.Add(-1)
	if f.readers.Add(1) > findsWaiting {
		return nil, errManyFinds
	}
	answer := f.group.DoChan(string(id[:]), func() (any, error) {
		f.asking.Add(1)
		defer f.asking.Done()
		defer f.questions.Add(-1) // it goes on when its readers hang up
		if f.questions.Add(1) > findsWaiting {
			return nil, errManyFinds
		}
		ctx, cancel := context.WithTimeout(f.ctx, findLimit) // for all that wait
		defer cancel()
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		case <-ctx.Done():
			return nil, ErrBusy
		}
		q := f.begin(id)
		e, c, d, err := f.c.Find(ctx, id)
		var b *Blob
		if err == nil {
			b = &Blob{ID: id, Size: c.Layout.Size, Entry: e, At: time.Now(), commitment: c, directory: d}
		}
		f.keep(q, b, err)
		return b, err
	})
	select {
	case r := <-answer:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*Blob), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errManyFinds = fmt.Errorf("%w: %d questions about blobs wait for the ledger", ErrBusy, findsWaiting)

func (f *finder) begin(id blob.ID) *question {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := &question{id}
	f.valid[id] = q
	return q
}

// keep keeps an answer, unless the blob was forgotten since the question: then it may be older
// than what was done to the blob.
func (f *finder) keep(q *question, b *Blob, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.valid[q.id] != q {
		return
	}
	delete(f.valid, q.id)
	switch {
	case err == nil:
		f.kept.Add(q.id, b)
		f.gone.Remove(q.id)
	case client.IsGone(err):
		f.kept.Remove(q.id)
		f.gone.Add(q.id, absence{err, time.Now()})
	}
}

// forget makes the next find ask the ledger, and no question that is under way already.
func (f *finder) forget(id blob.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept.Remove(id)
	f.gone.Remove(id)
	delete(f.valid, id)
	f.group.Forget(string(id[:]))
}
