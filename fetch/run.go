package fetch

import (
	"slices"
	"sync"
	"time"
)

// run is the questions for one stripe after the other that one read puts. It measures how fast
// each member sends, so that each is asked for as many rows as it can send while the others do:
// any k1 rows of a stripe serve. And it knows the part of the read that all others wait for.
type run struct {
	mu      sync.Mutex // guards the fields below
	members map[int]*pace
	live    map[uint32]bool // by their first stripes, the parts that are fetched
	first   uint32          // of these
	since   time.Time       // when it became the first
	unasked map[uint32]bool // by their first stripes, the parts of which rows wait for a member that is to be asked
	moved   chan struct{}   // closed when a row came, or none waits any more for a part
}

// pace is how fast a member sends rows.
type pace struct {
	pending int       // rows that were asked for and have not come
	moved   time.Time // when the last row came, or the first one was asked for since none was pending
	flows   bool      // a row has come since then
	// Of the rows that came while others were pending, the older the less: several may come at
	// once, after a while in which none did.
	rows float64
	took time.Duration
}

// each is the time that a row takes; 0: not known.
func (p *pace) each() time.Duration {
	if p.rows == 0 {
		return 0
	}
	return max(1, time.Duration(float64(p.took)/p.rows))
}

func newRun() *run {
	return &run{members: map[int]*pace{}, live: map[uint32]bool{}, unasked: map[uint32]bool{}, moved: make(chan struct{})}
}

// move needs mu held.
func (r *run) move() {
	close(r.moved)
	r.moved = make(chan struct{})
}

// wait notes whether rows of a part wait for a member that is to be asked.
func (r *run) wait(part uint32, some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unasked[part] == some {
		return
	}
	if some {
		r.unasked[part] = true
		return
	}
	delete(r.unasked, part)
	r.move()
}

// isTurn says whether members may be asked for a part's rows: no row of an earlier part waits.
func (r *run) isTurn(part uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.unasked {
		if p < part {
			return false
		}
	}
	return true
}

// next is closed when members may have room again.
func (r *run) next() <-chan struct{} {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

// begin and end note a part of the read by its first stripe.
func (r *run) begin(part uint32) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[part] = true
	if len(r.live) == 1 || part < r.first {
		r.first, r.since = part, time.Now()
	}
}

func (r *run) end(part uint32) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, part)
	delete(r.unasked, part)
	r.move()
	if part != r.first || len(r.live) == 0 {
		return
	}
	least := ^uint32(0)
	for p := range r.live {
		least = min(least, p)
	}
	r.first, r.since = least, time.Now()
}

// isFirst says whether all others wait for a part, and since when.
func (r *run) isFirst(part uint32) (since time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since, r.live[part] && part == r.first
}

// asked notes a request for rows to a member, came one of its answers, and left the rows that
// are not awaited any more.
func (r *run) asked(member, rows int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.members[member]
	if p == nil {
		p = &pace{}
		r.members[member] = p
	}
	if p.pending == 0 {
		p.moved, p.flows = time.Now(), false
	}
	p.pending += rows
}

// paceKept is the part of what was seen before that counts beside the newest row.
const paceKept = 0.875

func (r *run) came(member int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, now := r.members[member], time.Now()
	if p.flows {
		p.rows, p.took = paceKept*p.rows+1, time.Duration(paceKept*float64(p.took))+now.Sub(p.moved)
	}
	p.pending, p.moved, p.flows = p.pending-1, now, true
	r.move()
}

func (r *run) left(member, rows int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[member].pending -= rows
	r.move()
}

// rests says whether half of the members or more have nothing to send: then the reader's line
// is not what the others are waiting for.
func (r *run) rests() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	idle := 0
	for _, p := range r.members {
		if p.pending == 0 {
			idle++
		}
	}
	return 2*idle >= len(r.members)
}

// farSlower is how many times as long as usual the rows of a member take that is asked last.
const farSlower = 4

// isSlow says whether a member has sent no row yet, or sends far slower than others; it may be
// silent for some time beside.
func (r *run) isSlow(member int, silent time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.members[member]
	return p.rows == 0 && !p.flows || max(p.each(), time.Since(p.moved)) > farSlower*r.middle(0)+silent
}

// usual is the time between two rows of a member, in the middle of those that are known; unless
// there are any.
func (r *run) usual(unless time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.middle(unless)
}

// middle needs mu held.
func (r *run) middle(unless time.Duration) time.Duration {
	var known []time.Duration
	for _, p := range r.members {
		if p.rows > 0 {
			known = append(known, p.each())
		}
	}
	if len(known) == 0 {
		return unless
	}
	slices.Sort(known)
	return known[len(known)/2]
}

// queues is how long the rows that members were asked for will take.
type queues struct {
	now   time.Time
	usual time.Duration // of a member of which nothing is known
	rows  map[int]int
	each  map[int]time.Duration
}

// queues is as of now. unknown is the time that a row takes where none has come yet, and connect
// that in which a member is dialed.
func (r *run) queues(unknown, connect time.Duration) queues {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := queues{now: time.Now(), usual: r.middle(unknown), rows: map[int]int{}, each: map[int]time.Duration{}}
	for m, p := range r.members {
		each := p.each()
		if each == 0 {
			each = q.usual
		}
		switch idle := q.now.Sub(p.moved); {
		case p.pending > 0: // what has been awaited so long takes as long, at least
			each = max(each, idle-connect)
		case each > q.usual: // the longer ago it was slow, the less is it known to be
			each = max(q.usual, time.Duration(float64(each)*float64(each)/float64(each+idle)))
		}
		q.rows[m], q.each[m] = p.pending, each
	}
	return q
}

// after is when a member will have sent rows more.
func (q queues) after(member, rows int) time.Duration {
	each, ok := q.each[member]
	if !ok {
		each = q.usual
	}
	return time.Duration(q.rows[member]+rows) * each
}
