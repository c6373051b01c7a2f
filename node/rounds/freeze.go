package rounds

import (
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// freezeTimes bounds a freeze, in multiples of its nominal time, by this node's clock: a
// ledger that stands still must not keep blobs from their readers.
const freezeTimes = 3

// Freeze keeps a node's answers back while a challenge runs: a node that has dropped a
// fragment must not fetch or rebuild it once it knows its questions. Single symbols, from
// which a fragment is rebuilt at almost no cost, wait from some blocks before the draw.
// All answers wait while the beacon is being closed, since a closer knows the draw some
// blocks before the others. Answers about drawn stripes wait until the deadline.
//
// The zero Freeze keeps nothing back.
type Freeze struct {
	mu      sync.Mutex  // guards the fields below
	height  unit.Height // of the last block
	round   ledger.RoundState
	params  ledger.Params
	drawn   map[challenge.Draw]bool
	expires time.Time // by this node's clock
}

// Follow takes over the ledger's last block and its round.
func (f *Freeze) Follow(head ledger.Head, r ledger.RoundState, p ledger.Params, now time.Time) {
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

// Refusal is the p2p.Refusal of a question about a stripe, for single symbols or for
// whole fragments and witnesses; nil if the node may answer.
func (f *Freeze) Refusal(id blob.ID, stripe uint32, symbols bool, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.round.T == 0 || f.round.Over || !now.Before(f.expires) {
		return nil
	}
	t, next := f.round.T, f.height+1
	until := unit.Height(0)
	switch {
	case !f.round.Drawn && (f.round.Closed || next >= t || symbols && next.Plus(f.params.Challenge.Freeze) > t):
		until = t + 1
	case f.round.Drawn && f.height < t.Plus(f.params.Challenge.Deadline) && f.drawn[challenge.Draw{Blob: id, Stripe: stripe}]:
		until = t.Plus(f.params.Challenge.Deadline)
	default:
		return nil
	}
	refusal := p2p.Refuse(p2p.CodeWait, "a challenge is running: ask again when the ledger is at block %d", until)
	refusal.RetryHeight = until
	return refusal
}
