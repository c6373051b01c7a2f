package light

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// How old an answer may be. An old answer is true, but of the past: it is shown where the
// ledger stands still, not where one node has fallen behind or hides newer blocks.
const (
	maxBehind  = 10               // blocks behind the newest verified header
	staleAfter = 20               // blocks' time after which others are asked for a newer header
	lookEvery  = 10 * time.Second // and how often
	lookLimit  = 2 * time.Second
)

// current refuses a header that is far behind the newest. Where a header is old by the
// clock, other nodes are asked for their newest first: one honest answer suffices to know
// that the ledger has moved.
func (r *Remote) current(ctx context.Context, from peer.ID, b *types.LightBlock) error {
	stale := staleAfter * time.Duration(r.genesis.Params.BlockMs) * time.Millisecond
	if r.follow.now().Sub(b.Time) > max(stale, lookEvery) {
		r.look(ctx, from)
	}
	if newest := r.follow.newest(); newest != nil && b.Height+maxBehind < newest.Height {
		return noAnswer{behind{from, b.Height, newest.Height}}
	}
	return nil
}

// look asks all candidates but one for their newest headers, and verifies them. It does
// nothing within lookEvery of the last time.
func (r *Remote) look(ctx context.Context, beside peer.ID) {
	r.mu.Lock()
	recently := time.Since(r.looked) < lookEvery
	if !recently {
		r.looked = time.Now()
	}
	r.mu.Unlock()
	if !recently {
		r.lookNow(ctx, beside)
	}
}

func (r *Remote) lookNow(ctx context.Context, beside peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	var asked sync.WaitGroup
	for _, p := range r.candidates() {
		if p == beside {
			continue
		}
		asked.Go(func() {
			b, err := r.lightBlock(ctx, p, 0)
			if err == nil {
				_, err = r.follow.verify(ctx, b, r.source(p))
			}
			var none noAnswer
			if err != nil && !errors.As(err, &none) && ctx.Err() == nil && !ours(err) {
				r.host.Blame(p, err)
			}
		})
	}
	asked.Wait()
}

// Refresh asks the nodes for their newest headers; no older answer is taken afterwards.
// Call it when a record seems to be absent: a node that has fallen behind, or hides newer
// blocks, would say so too.
func (r *Remote) Refresh(ctx context.Context) error {
	if r.options.TrustNode {
		return nil
	}
	r.lookNow(ctx, "")
	if newest := r.follow.newest(); newest != nil {
		r.rise(newest.Height)
	}
	return ctx.Err()
}

// wrote notes a block that holds a transaction of this process. No answer from before that
// block is taken afterwards.
func (r *Remote) wrote(height unit.Height) {
	if height > 0 {
		r.rise(int64(height) + 1)
	}
	for seen := unit.Height(r.written.Load()); seen < height && !r.written.CompareAndSwap(uint64(seen), uint64(height)); seen = unit.Height(r.written.Load()) {
	}
}

// settleBlocks is the most blocks that Settle waits for: a ledger may stand still.
const settleBlocks = 6

// Settle waits until every node that answers can prove what this process has written. A
// block's effects are named by the header after it, and nodes may be a block apart. Nodes
// that do not answer are not waited for.
func (r *Remote) Settle(ctx context.Context) error {
	block := r.block()
	ctx, cancel := context.WithTimeout(ctx, settleBlocks*block)
	defer cancel()
	for written := unit.Height(r.written.Load()); written > 0; {
		if lowest, some := r.lowest(ctx, block); some && lowest > written {
			r.written.CompareAndSwap(uint64(written), 0)
			return nil
		}
		select {
		case <-time.After(block / 10):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// lowest is the least height among the nodes that answer within wait.
func (r *Remote) lowest(ctx context.Context, wait time.Duration) (height unit.Height, some bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var asked sync.WaitGroup
	var mu sync.Mutex // guards height and some
	for _, p := range r.candidates() {
		asked.Go(func() {
			b, err := r.host.AskLedger(ctx, p, p2p.AskStatus, nil)
			var s Status
			if err != nil || decodeAnswer(b, &s) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !some || s.Height < height {
				height, some = s.Height, true
			}
		})
	}
	asked.Wait()
	return height, some
}

// rise raises the height below which no answer is taken.
func (r *Remote) rise(height int64) {
	for was := r.floor.Load(); was < height && !r.floor.CompareAndSwap(was, height); was = r.floor.Load() {
	}
}
