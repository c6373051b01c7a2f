package node

import (
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// freezeTimes is how much longer than nominal a freeze lasts at most, by this node's own
// clock: a ledger that stands still must not keep files from their readers.
const freezeTimes = 3

// freeze keeps answers back while a challenge runs: who has dropped a fragment must not
// fetch it, or have it made, once it knows what it is asked. Single symbols, with which a
// fragment is rebuilt for next to nothing, wait from some blocks before the draw on; all
// answers wait while the beacon is being closed, as a closer knows the draw some blocks
// before the others, and those of drawn stripes until the deadline.
type freeze struct {
	mu      sync.Mutex // guards the fields below
	height  uint64     // of the last block seen
	round   ledger.RoundState
	params  ledger.Params
	drawn   map[challenge.Draw]bool
	expires time.Time // by this node's clock
}

// follow takes over a block.
func (f *freeze) follow(head ledger.Head, r ledger.RoundState, p ledger.Params, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := r.Ordinal != f.round.Ordinal || r.Drawn != f.round.Drawn
	f.height, f.round, f.params = head.Height, r, p
	if !fresh {
		return
	}
	blocks := p.Challenge.Deadline + p.Challenge.Freeze
	f.expires = now.Add(freezeTimes * time.Duration(blocks*p.BlockMs) * time.Millisecond)
	f.drawn = map[challenge.Draw]bool{}
	for _, d := range r.Draws() {
		f.drawn[d] = true
	}
}

// wait is nil, or the refusal that an answer about a fragment gets now.
func (f *freeze) wait(id blob.ID, stripe uint32, symbols bool, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.round.T == 0 || f.round.Over || !now.Before(f.expires) {
		return nil
	}
	t, next := f.round.T, f.height+1
	until := uint64(0)
	switch {
	case !f.round.Drawn && (f.round.Closed || next >= t || symbols && next+f.params.Challenge.Freeze > t):
		until = t + 1
	case f.round.Drawn && f.height < t+f.params.Challenge.Deadline && f.drawn[challenge.Draw{Blob: id, Stripe: stripe}]:
		until = t + f.params.Challenge.Deadline
	default:
		return nil
	}
	refusal := p2p.Refuse(p2p.CodeWait, "a challenge is running: ask again when the ledger is at block %d", until)
	refusal.RetryHeight = until
	return refusal
}
