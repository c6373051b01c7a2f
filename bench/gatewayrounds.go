package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
)

const (
	frozenLanes = 16 // GETs at once while nodes hold answers back
	frozenLook  = 100 * time.Millisecond
	waited      = 100 * time.Millisecond // time beyond which an answer was waited for
)

// frozenSpan is bytes of a blob that nodes hold back now, by the ledger.
type frozenSpan struct {
	id           blob.ID
	from, length int64 // bytes, in the blob
}

// frozen reads while nodes hold answers back for a challenge: symbols of all blobs from before
// the draw until it, and those of drawn stripes until the time for proofs is over. GETs are sent
// only then, of places that the gateway does not have, and of a blob that it has.
func (b *gatewayBench) frozen() error {
	text, _, err := b.stored(b.o.Size)
	if err != nil {
		return err
	}
	id, err := blob.ParseID(text)
	if err != nil {
		return err
	}
	small, _, err := b.stored(smallBytes)
	if err != nil {
		return err
	}
	if _, _, code, err := b.get(b.url(small), make([]byte, smallBytes)); err != nil || code != http.StatusOK {
		return errors.Join(err, fmt.Errorf("GET: %d", code))
	}
	ctx, stop := context.WithTimeout(b.ctx, b.o.Frozen)
	defer stop()
	var held atomic.Pointer[frozenSpan]
	var mu sync.Mutex // guards the fields below
	var took, cached []time.Duration
	var failed error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
		stop()
	}
	one := func(at *frozenSpan) error {
		into := make([]byte, smallBytes)
		_, hit, code, err := b.get(b.url(small), into)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("GET from the cache: %d", code)
		}
		if err != nil {
			return err
		}
		place := at.from + rand.Int64N(at.length-smallBytes)
		_, miss, code, err := b.get(fmt.Sprintf("%s/byte-range?start=%d&length=%d", b.url(at.id.Base64()), place, smallBytes), into)
		if err == nil && code != http.StatusOK && code != http.StatusServiceUnavailable {
			err = fmt.Errorf("GET: %d", code)
		}
		mu.Lock()
		defer mu.Unlock()
		took, cached = append(took, miss), append(cached, hit)
		if code == http.StatusServiceUnavailable {
			b.r.Frozen.Told++
		}
		if miss >= waited {
			b.r.Frozen.Waited++
		}
		return err
	}
	var lanes sync.WaitGroup
	for range frozenLanes {
		lanes.Go(func() {
			for ctx.Err() == nil {
				at := held.Load()
				if at == nil {
					time.Sleep(frozenLook / 4) // no challenge runs
				} else if err := one(at); err != nil {
					fail(err)
				}
			}
		})
	}
	rounds := map[uint64]bool{}
	for ctx.Err() == nil {
		at, round, err := b.heldBack(frozenSpan{id, 0, b.o.Size})
		if err != nil {
			fail(err)
		}
		if held.Store(at); at != nil {
			rounds[round] = true
		}
		time.Sleep(frozenLook) // until the next block, or less
	}
	lanes.Wait()
	if failed != nil || b.ctx.Err() != nil {
		return errors.Join(failed, b.ctx.Err())
	}
	r := &b.r.Frozen
	if r.Rounds, r.Of = len(rounds), len(took); r.Of == 0 {
		return errors.New("no challenge ran in that time")
	}
	r.P50, r.P99, r.CachedP99 = at(took, 50), at(took, 99), at(cached, 99)
	return nil
}

// heldBack is what nodes hold back as the ledger stands: some of any blob, or a drawn stripe;
// nil where they answer.
func (b *gatewayBench) heldBack(any frozenSpan) (at *frozenSpan, round uint64, err error) {
	v, err := b.c.Remote.View(b.ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := v.Prefetch(ledger.KeyHead(), ledger.KeyRules(), ledger.KeyRound()); err != nil {
		return nil, 0, err
	}
	head, err := v.Head()
	if err != nil {
		return nil, 0, err
	}
	p, err := v.Params()
	if err != nil {
		return nil, 0, err
	}
	r, known, err := v.Round()
	if err != nil || !known || r.Over {
		return nil, 0, err
	}
	round = uint64(r.Ordinal)
	switch next := head.Height + 1; {
	case !r.Drawn && (r.Closed || next.Plus(p.Challenge.Freeze) > r.T):
		return &any, round, nil
	case r.Drawn && head.Height < r.T.Plus(p.Challenge.Deadline):
		for _, d := range r.Drawings {
			c, err := d.Manifest.Commitment()
			if err != nil {
				return nil, 0, err
			}
			span := frozenSpan{c.ID, c.Layout.StripeOffset(int(d.Stripe)), c.Layout.StripeBytes(int(d.Stripe))}
			if span.length > 2*smallBytes && !b.read[c.ID] {
				return &span, round, nil
			}
		}
	}
	return nil, 0, nil
}
