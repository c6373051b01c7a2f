package fetch

import (
	"sync"
	"time"
)

// run is the questions for one stripe after the other that one read puts. Members are asked
// for many stripes at once, and where the reader's own line is the bound some come later
// than others: to ask once more would only make that worse. What is late is what keeps the
// others idle.
type run struct {
	mu      sync.Mutex  // guards the fields below
	pending map[int]int // for each member the places of requests that it has not answered
	idle    time.Time   // since when half of the members or more have none; zero: they have some
}

func newRun() *run { return &run{pending: map[int]int{}} }

// asked notes a request for some places to a member, answered its end, whatever that was.
func (r *run) asked(member, places int)    { r.change(member, places) }
func (r *run) answered(member, places int) { r.change(member, -places) }

func (r *run) change(member, by int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[member] += by
	idle := 0
	for _, n := range r.pending {
		if n == 0 {
			idle++
		}
	}
	switch {
	case 2*idle < len(r.pending):
		r.idle = time.Time{}
	case r.idle.IsZero():
		r.idle = time.Now()
	}
}

// stalls says whether half of the members or more have nothing to do for at least so long.
func (r *run) stalls(now time.Time, atLeast time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.idle.IsZero() && now.Sub(r.idle) >= atLeast
}
