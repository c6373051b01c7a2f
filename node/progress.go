package node

import (
	"sync"

	"github.com/walrus-network/walrus/unit"
)

// progress is what the recovery loop has done and has to do.
type progress struct {
	mu    sync.Mutex // guards the fields below
	state Recovery
}

// Recovery is the recovery loop in numbers.
type Recovery struct {
	BacklogBlobs     int         `json:"backlog_blobs"`
	BacklogFragments int         `json:"backlog_fragments"`
	BacklogBytes     int64       `json:"backlog_bytes"`
	HealedBytes      int64       `json:"healed_bytes"` // fragments rebuilt since the start
	MovedBytes       int64       `json:"moved_bytes"`  // received for it, framing included
	LookedAt         unit.Height `json:"looked_at"`    // height of the ledger when duty and possession were last compared
}

func (p *progress) backlog(height unit.Height, list *pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.BacklogBlobs, p.state.BacklogFragments, p.state.BacklogBytes = len(list.blobs), 0, 0
	for _, w := range list.blobs {
		p.state.BacklogFragments += w.missing
		p.state.BacklogBytes += w.bytes
	}
	p.state.LookedAt = height
}

// moved notes the bytes received since the start.
func (p *progress) moved(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.MovedBytes = max(p.state.MovedBytes, bytes)
}

func (p *progress) healed(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.HealedBytes += bytes
}

func (p *progress) get() Recovery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}
