package emulator

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// router carries packets from the link of one host to the link of another.
type router struct {
	o     Options
	began time.Time
	ends  []*end

	mu      sync.Mutex // guards the fields below
	watched int        // host, or noHost
	flights []Flight
	tried   probes // of all packets: connections begin before their host is watched
}

// noHost is in place of a host's number.
const noHost = -1

// end is the router's end of one link.
type end struct {
	down line          // the deliverer's
	wake chan struct{} // something was sent to this host, or the router closes

	mu     sync.Mutex // guards the fields below
	up     line
	coming packets
	sent   uint64 // packets to this host so far
	closed bool
}

// packet is bytes on their way.
type packet struct {
	from    int                      // host
	bytes   int                      // on the link, headers and all
	about   Flight                   // what the packet says of itself
	deliver func(took time.Duration) // hands it to its host; it must not wait
	patient bool                     // it waits for links however long, and is not lost

	sent  time.Duration
	due   time.Duration // when it reaches the host's link, then the host
	order uint64        // of packets that are due at the same time
}

// packets is a heap, the first that is due on top.
type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	return p[i].due < p[j].due || p[i].due == p[j].due && p[i].order < p[j].order
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

func newRouter(o Options) *router {
	r := &router{o: o, began: time.Now(), watched: noHost, tried: probes{}}
	for _, bits := range o.Bits {
		l := line{bits: bits, queue: o.queue()}
		r.ends = append(r.ends, &end{up: l, down: l, wake: make(chan struct{}, 1)})
	}
	return r
}

func (r *router) run(ended *sync.WaitGroup) {
	for i := range r.ends {
		ended.Go(func() { r.deliver(i) })
	}
}

func (r *router) close() {
	for _, e := range r.ends {
		e.mu.Lock()
		e.closed = true
		e.mu.Unlock()
		e.nudge()
	}
}

func (e *end) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// send brings a packet on its way to a host.
func (r *router) send(p packet, to int) {
	r.mu.Lock()
	p.sent = time.Since(r.began)
	p.about.Probe = r.tried.isProbe(p.from, to, p.about)
	r.mu.Unlock()
	sender := r.ends[p.from]
	sender.mu.Lock()
	gone, ok := sender.up.take(p.sent, p.bytes, p.patient)
	sender.mu.Unlock()
	if !ok || !p.patient && r.o.Loss > 0 && rand.Float64() < r.o.Loss {
		r.note(p, to, true)
		return
	}
	p.due = gone + r.o.RTT/2
	e := r.ends[to]
	e.mu.Lock()
	e.sent++
	p.order = e.sent
	heap.Push(&e.coming, p)
	e.mu.Unlock()
	e.nudge()
}

// deliver hands a host its packets when they are due.
func (r *router) deliver(to int) {
	e := r.ends[to]
	var ready []packet // on the host's own link, in order
	for {
		now := time.Since(r.began)
		next := time.Hour
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return
		}
		for len(e.coming) > 0 && e.coming[0].due <= now {
			p := heap.Pop(&e.coming).(packet)
			if due, ok := e.down.take(p.due, p.bytes, p.patient); ok {
				p.due = due
				ready = append(ready, p)
			} else {
				r.note(p, to, true)
			}
		}
		if len(e.coming) > 0 {
			next = e.coming[0].due
		}
		e.mu.Unlock()
		sent := 0
		for sent < len(ready) && ready[sent].due <= now {
			p := ready[sent]
			r.note(p, to, false)
			p.deliver(p.due - p.sent)
			sent++
		}
		ready = append(ready[:0], ready[sent:]...)
		if len(ready) > 0 {
			next = min(next, ready[0].due)
		}
		timer := time.NewTimer(next - time.Since(r.began))
		select {
		case <-timer.C:
		case <-e.wake:
			timer.Stop()
		}
	}
}

// note keeps the flight of a packet of the watched host.
func (r *router) note(p packet, to int, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watched != p.from && r.watched != to {
		return
	}
	f := p.about
	f.Sent, f.Due, f.Out, f.Lost, f.Peer = r.began.Add(p.sent), r.began.Add(p.due), r.watched == p.from, lost, to
	if !f.Out {
		f.Peer = p.from
	}
	r.flights = append(r.flights, f)
}

func (r *router) watch(host int) (stop func() []Flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watched, r.flights = host, nil
	return func() []Flight {
		r.mu.Lock()
		defer r.mu.Unlock()
		out := r.flights
		r.watched, r.flights = noHost, nil
		return out
	}
}
