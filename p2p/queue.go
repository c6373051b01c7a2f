package p2p

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	queuePause = 20 * time.Millisecond // a guest may be spared by then
	queueRest  = 5 * time.Millisecond  // between two walks through the queue
)

// waiter is a visitor in the queue for a place.
type waiter struct {
	visitor
	out func()
	got chan *guest // has room for one
}

// wait is take for a visitor that can wait until ctx ends. Of those that wait, the peer
// with the fewest places comes first, and of equals the one that has waited longest: a
// peer that asks for much does not crowd out one that asks for little.
func (p *places) wait(ctx context.Context, v visitor, out func()) (*guest, bool) {
	w := &waiter{visitor: v, out: out, got: make(chan *guest, 1)}
	p.mu.Lock()
	p.queue = append(p.queue, w)
	p.grant()
	p.mu.Unlock()
	again := time.NewTicker(queuePause)
	defer again.Stop()
	for {
		select {
		case g := <-w.got:
			return g, true
		case <-again.C:
			p.mu.Lock()
			if p.now().Sub(p.tried) >= queueRest {
				p.grant()
			}
			p.mu.Unlock()
		case <-ctx.Done():
			p.mu.Lock()
			p.queue = slices.DeleteFunc(p.queue, func(x *waiter) bool { return x == w })
			p.mu.Unlock()
			select {
			case g := <-w.got: // just now
				return g, true
			default:
				return nil, false
			}
		}
	}
}

// grant gives places to those in the queue, in their order, as long as there are any.
// p.mu is held.
func (p *places) grant() {
	p.tried = p.now()
	left := slices.Clone(p.queue)
	for len(left) > 0 {
		// The clone is in the order of arrival, and MinFunc takes the first of equals.
		w := slices.MinFunc(left, func(a, b *waiter) int {
			return cmp.Or(cmp.Compare(b.standing, a.standing), cmp.Compare(p.of[a.peer], p.of[b.peer]))
		})
		left = slices.DeleteFunc(left, func(x *waiter) bool { return x == w })
		g, full := p.admit(w.visitor, w.out)
		if full {
			left = slices.DeleteFunc(left, func(x *waiter) bool { return class(x.standing) == class(w.standing) })
		}
		if g != nil {
			p.queue = slices.DeleteFunc(p.queue, func(x *waiter) bool { return x == w })
			w.got <- g
		}
	}
}
