package blobs

import (
	"context"
	"sync"
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
)

// finder asks the ledger for blobs, once for all that ask at the same time, and keeps the
// answers for a moment.
type finder struct {
	c     *client.Client
	ctx   context.Context // ends with the reader
	group singleflight.Group
	slots chan struct{}

	mu    sync.Mutex // guards kept
	kept  *simplelru.LRU[blob.ID, *Blob]
	asked map[blob.ID]bool // anew, beside readers that use the old answer

	asking sync.WaitGroup // questions under way
}

func newFinder(ctx context.Context, c *client.Client) (*finder, error) {
	kept, err := simplelru.NewLRU[blob.ID, *Blob](findsKept, nil)
	return &finder{c: c, ctx: ctx, kept: kept, slots: make(chan struct{}, findsAtOnce), asked: map[blob.ID]bool{}}, err
}

func (f *finder) find(ctx context.Context, id blob.ID) (*Blob, error) {
	f.mu.Lock()
	b, ok := f.kept.Get(id)
	age := time.Duration(0)
	if ok {
		age = time.Since(b.At)
	}
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
	return f.ask(ctx, id)
}

// ask asks the ledger. What it says counts at once: a blob that has ended is forgotten.
func (f *finder) ask(ctx context.Context, id blob.ID) (*Blob, error) {
	answer := f.group.DoChan(string(id[:]), func() (any, error) {
		f.asking.Add(1)
		defer f.asking.Done()
		ctx, cancel := context.WithTimeout(f.ctx, findLimit) // for all that wait
		defer cancel()
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		case <-ctx.Done():
			return nil, ErrBusy
		}
		e, c, d, err := f.c.Find(ctx, id)
		switch {
		case err == nil:
			b := &Blob{ID: id, Size: c.Layout.Size, Entry: e, At: time.Now(), commitment: c, directory: d}
			f.keep(b)
			return b, nil
		case client.IsGone(err):
			f.forget(id)
		}
		return nil, err
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

func (f *finder) keep(b *Blob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept.Add(b.ID, b)
}

func (f *finder) forget(id blob.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept.Remove(id)
}
