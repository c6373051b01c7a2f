package light

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
)

// Bounds on a walk over the keys with a prefix. No proof shows that a list is complete, so
// a walk ends by the number of keys that are really there: each page must bring some.
const (
	maxWalk    = 1 << 20          // keys that a walk follows, 2,048 full pages
	freePages  = 16               // of a node, after which leastFound applies
	leastFound = 8                // present keys of a page, on average: an honest page with More has no fewer
	pageBytes  = 16 << 20         // of values, at which a page is cut: twice an honest one's
	pageLimit  = 20 * time.Second // for a question about a page's keys
)

// ErrEndless is returned for a list with more keys than a walk follows.
var ErrEndless = errors.New("the list has more keys than a client follows: ask for less, or run a node")

// Each hands on the keys that a node lists, each with its proven value. No proof shows
// that the list is complete.
func (v *reader) Each(prefix []byte, fn func(key, value []byte) error) error {
	return v.EachAfter(prefix, nil, fn)
}

// EachAfter is Each from the first key above after on. It keeps no value: a long list takes
// no more memory than one page.
func (v *reader) EachAfter(prefix, after []byte, fn func(key, value []byte) error) error {
	w := walk{v: v, from: map[peer.ID]supply{}}
	q := listQuestion{Prefix: prefix, After: after}
	for {
		p, err := w.next(q)
		if err != nil {
			return err
		}
		for i, k := range p.Keys {
			if p.values[i].ok {
				if err := fn(k, p.values[i].bytes); err != nil {
					return err
				}
			}
		}
		if !p.More {
			return nil
		}
		if w.listed += len(p.Keys); w.listed >= maxWalk {
			return fmt.Errorf("%w: %d keys so far", ErrEndless, w.listed)
		}
		q.After = p.Keys[len(p.Keys)-1]
	}
}

// walk is how far one walk has come.
type walk struct {
	v      *reader
	listed int // keys

	mu   sync.Mutex // guards from
	from map[peer.ID]supply
}

// supply counts the pages that a node has given to a walk.
type supply struct {
	pages int // with More
	found int // present keys on these pages
}

// page is a list of keys and their values.
type page struct {
	listAnswer
	values []value
}

// next asks a node for a page, and the same node for the proofs of its keys. A list of
// absent keys is a lie: the node is blamed and the next node is asked.
func (w *walk) next(q listQuestion) (p page, err error) {
	if p, ok := w.ahead(q); ok {
		return p, nil
	}
	// A page takes longer to prove than a node has for one answer. It ends with the walk,
	// and once another node's page was taken.
	ctx, stop := context.WithCancel(w.v.ctx)
	defer stop()
	turn := make(chan struct{}, 1)
	err = w.v.r.ask(w.v.ctx, p2p.AskList, canon.Encode(q), func(_ context.Context, from peer.ID, b []byte) (func(), error) {
		// One node at a time proves the page, or a slow line carries it several times; a node
		// that takes long is not waited for.
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-time.After(patience):
		case <-ctx.Done():
			return nil, noAnswer{context.Cause(ctx)}
		}
		got, err := w.read(ctx, from, q, b)
		if errors.Is(err, errGone) {
			// New blocks may have deleted every listed key. A second list is then another one.
			if b, err = w.v.r.askThis(ctx, from, p2p.AskList, canon.Encode(q)); err == nil {
				got, err = w.read(ctx, from, q, b)
			}
		}
		return func() {
			p = got
			stop()
		}, err
	})
	return p, err
}

// listed is a node's page of keys that nothing has proven yet.
type listed struct {
	from   peer.ID
	prefix []byte
	answer []byte
	keys   [][]byte // of the answer
}

// listAhead puts a list question before the walk needs it; nil where no node answers.
func (r *Remote) listAhead(ctx context.Context, q listQuestion) (out *listed) {
	err := r.ask(ctx, p2p.AskList, canon.Encode(q), func(_ context.Context, from peer.ID, b []byte) (func(), error) {
		var a listAnswer
		err := decodeAnswer(b, &a)
		if err == nil {
			err = a.check(q)
		}
		return func() { out = &listed{from, q.Prefix, b, a.Keys} }, err
	})
	if err != nil {
		return nil // the walk asks again
	}
	return out
}

// ahead proves the page that was asked for ahead of the walk. ok says that there is one, and
// that it is as good as one asked for now.
func (w *walk) ahead(q listQuestion) (p page, ok bool) {
	l, beside := w.v.listed, w.v.beside
	w.v.listed, w.v.beside = nil, nil // they serve once: a later walk reads what is new
	if l == nil || len(q.After) > 0 || !bytes.Equal(l.prefix, q.Prefix) {
		return p, false
	}
	var err error
	var proving sync.WaitGroup
	proving.Go(func() { p, err = w.read(w.v.ctx, l.from, q, l.answer) })
	if beside != nil {
		_ = w.v.Prefetch(beside(l.keys)) // what is missing is asked for when it is read
	}
	proving.Wait()
	if err != nil && !errors.As(err, new(noAnswer)) && !errors.Is(err, errGone) {
		w.v.r.host.Blame(l.from, err)
	}
	return p, err == nil
}

// errGone is returned for a page without a present key.
var errGone = fmt.Errorf("none of the keys of a list is there: %w", blob.ErrMismatch)

func (w *walk) read(ctx context.Context, from peer.ID, q listQuestion, answer []byte) (p page, err error) {
	if err := decodeAnswer(answer, &p.listAnswer); err != nil {
		return p, err
	}
	if err := p.check(q); err != nil {
		return p, err
	}
	err = w.prove(ctx, from, &p)
	return p, err
}

// prove reads the values of a page's keys from the node that listed them. That takes more
// than one question, each with its own time limit.
func (w *walk) prove(ctx context.Context, from peer.ID, p *page) error {
	found, size := 0, 0
	for keys := p.Keys; len(keys) > 0; {
		if size > pageBytes {
			p.Keys, p.More = p.Keys[:len(p.values)], true
			break
		}
		part := question(keys)
		got, err := w.ask(ctx, from, part)
		if err != nil {
			return err
		}
		for _, x := range got {
			if size += len(x.bytes); x.ok {
				found++
			}
		}
		p.values, keys = append(p.values, got...), keys[len(got):]
	}
	// A block between list and proof may delete some keys, not all.
	if len(p.Keys) > 0 && found == 0 {
		return errGone
	}
	if p.More {
		w.mu.Lock()
		defer w.mu.Unlock()
		b := w.from[from]
		b = supply{b.pages + 1, b.found + found}
		w.from[from] = b
		if b.pages > freePages && b.found < leastFound*b.pages {
			return fmt.Errorf("%d pages of a list with %d keys: %w", b.pages, b.found, blob.ErrMismatch)
		}
	}
	return nil
}

func (w *walk) ask(ctx context.Context, from peer.ID, keys [][]byte) ([]value, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pageLimit, fmt.Errorf("node %s did not prove what it listed within %s", from, pageLimit))
	defer cancel()
	q := w.v.r.question(keys, 0, false)
	answer, err := w.v.r.askThis(ctx, from, p2p.AskProve, canon.Encode(q))
	if err != nil {
		return nil, err
	}
	got, err := w.v.r.check(ctx, from, q, nil, answer)
	if err != nil && ctx.Err() != nil {
		err = noAnswer{context.Cause(ctx)}
	}
	return got.values, err
}

// check refuses a list that makes no progress, or that has keys outside the question.
func (a listAnswer) check(q listQuestion) error {
	if len(a.Keys) > maxListed || a.More && len(a.Keys) == 0 {
		return fmt.Errorf("list of %d keys: %w", len(a.Keys), blob.ErrMismatch)
	}
	last := q.After
	for _, k := range a.Keys {
		if len(k) == 0 || len(k) > state.MaxKey || !bytes.HasPrefix(k, q.Prefix) || bytes.Compare(k, last) <= 0 {
			return fmt.Errorf("list with key %x after %x: %w", k, last, blob.ErrMismatch)
		}
		last = k
	}
	return nil
}
