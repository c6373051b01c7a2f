package snapshot

import (
	"slices"
	"sync"
	"time"
)

// slow is how long a run is under way before another node is asked for the same, where
// nothing else is left to ask for: one slow node holds up nothing.
const slow = 2 * time.Second

// queue is the nodes of the tree whose keys are missing. A run of them is asked for at a
// time.
type queue struct {
	mu    sync.Mutex // guards the fields below
	nodes []uint32   // that are asked of no node, ascending
	runs  []*run     // under way, oldest first
	more  chan struct{}
}

// run is nodes that are asked of one node of the network.
type run struct {
	asked []uint32 // ascending
	began time.Time

	// The queue guards the fields below.
	nodes []uint32 // that have not come yet
	twice bool     // another one was given the same
}

func newRun(nodes []uint32) *run {
	return &run{asked: slices.Clone(nodes), began: time.Now(), nodes: slices.Clone(nodes)}
}

func newQueue(nodes []uint32) *queue { return &queue{nodes: nodes, more: make(chan struct{})} }

// take is the next run, of nodes between which at most as many again are not missing; nil:
// there is none now. changed is closed when there may be one.
func (q *queue) take() (r *run, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.nodes) > 0 {
		n := 1
		for n < len(q.nodes) && n < maxRun/2 && int(q.nodes[n]-q.nodes[0]) < 2*n+2 {
			n++
		}
		r = newRun(q.nodes[:n])
		q.nodes = q.nodes[n:]
		q.runs = append(q.runs, r)
		return r, nil
	}
	for _, old := range q.runs {
		if !old.twice && len(old.nodes) > 0 && time.Since(old.began) > slow {
			old.twice = true
			r = newRun(old.nodes)
			r.twice = true
			q.runs = append(q.runs, r)
			return r, nil
		}
	}
	return nil, q.more
}

// got notes that a node of a run is there, and adds those that are to be fetched in its
// place.
func (q *queue) got(r *run, node uint32, instead []uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, x := range q.runs {
		x.nodes = slices.DeleteFunc(x.nodes, func(n uint32) bool { return n == node })
	}
	q.add(instead)
}

// end gives back what a run has not brought, unless it is on its way in another run.
func (q *queue) end(r *run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.runs = slices.DeleteFunc(q.runs, func(x *run) bool { return x == r })
	var left []uint32
	for _, node := range r.nodes {
		if !slices.ContainsFunc(q.runs, func(x *run) bool { return slices.Contains(x.nodes, node) }) {
			left = append(left, node)
		}
	}
	q.add(left)
}

func (q *queue) add(nodes []uint32) {
	if len(nodes) > 0 {
		q.nodes = append(q.nodes, nodes...)
		slices.Sort(q.nodes)
	}
	close(q.more)
	q.more = make(chan struct{})
}

// empty says that nothing is missing any more.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.nodes) == 0 && !slices.ContainsFunc(q.runs, func(r *run) bool { return len(r.nodes) > 0 })
}
