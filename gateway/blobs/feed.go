package blobs

import (
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// What a Change may be.
const (
	Certified = "certified" // a lease is there that was not
	Extended  = "extended"
	Deleted   = "deleted"
)

// Change is a change of a blob's lease that a Writer made and the ledger has confirmed.
type Change struct {
	ID     uint64 // grows from change to change, also across restarts
	At     time.Time
	What   string
	Blob   blob.ID
	Size   int64        // bytes
	End    unit.Epoch   // of the owner's claim; 0: it was deleted
	Cost   token.Amount // fees of the ledger left out
	Refund token.Amount
}

// mostChanges is how many changes a Feed remembers.
const mostChanges = 1024

// Feed is the newest changes. All methods may be called at the same time.
type Feed struct {
	mu   sync.Mutex // guards the rest
	ring []Change   // the newest, the oldest first; mostChanges of them count
	next uint64     // ID of the next change
	more chan struct{}
}

// newFeed makes a Feed. IDs are microseconds at first, so that those of a later process are
// larger.
func newFeed(now time.Time) *Feed {
	return &Feed{next: uint64(now.UnixMicro()), more: make(chan struct{})}
}

// add adds a change.
func (f *Feed) add(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.ID, c.At = f.next, time.Now()
	f.next++
	if f.ring = append(f.ring, c); len(f.ring) == 2*mostChanges {
		f.ring = append(make([]Change, 0, 2*mostChanges), f.ring[mostChanges:]...)
	}
	close(f.more)
	f.more = make(chan struct{})
}

// Newest is the ID of the newest change; before the first one a number below it.
func (f *Feed) Newest() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next - 1
}

// Since gives the changes after one, the oldest first. missed says that others came between
// that are not remembered, or made by a process before this one. more is closed when there is
// another change.
func (f *Feed) Since(id uint64) (changes []Change, missed bool, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.ring[max(0, len(f.ring)-mostChanges):]
	oldest := f.next - uint64(len(kept))
	switch {
	case id >= f.next: // of no process that was
		id, missed = f.next-1, true
	case id+1 < oldest:
		id, missed = oldest-1, true
	}
	return append([]Change(nil), kept[id+1-oldest:]...), missed, f.more
}
