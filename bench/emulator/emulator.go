package emulator

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Options are the links. Each host has one, and from each host to each other one the
// distance is the same.
type Options struct {
	RTT  time.Duration // from host to host and back, without the queues
	Loss float64       // the part of the packets that is lost, each way
	Bits []int64       // bits a second of each host's link, each way
}

// minQueue is the least time that a packet may wait for a link; else a round trip.
const minQueue = 100 * time.Millisecond

// mtu is the longest packet, in bytes.
const mtu = 1500

// Emulator is hosts and the router between them.
type Emulator struct {
	o      Options
	began  time.Time
	hosts  []*place
	closed chan struct{}
	close  func()
	ended  sync.WaitGroup
	router *router
}

// device is one end of a link: each read is a packet, and each write.
type device interface {
	io.ReadWriteCloser
}

// place is a host: a thread in its namespace, and the link.
type place struct {
	device device
	work   chan func()
}

// New makes the hosts, one for each of Bits.
func New(o Options) (*Emulator, error) {
	e := &Emulator{o: o, began: time.Now(), closed: make(chan struct{})}
	e.close = sync.OnceFunc(func() { close(e.closed) })
	var devices []device
	for i := range o.Bits {
		p, err := newPlace(e.closed, IP(i))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("a host at a distance: %w", err), e.Close())
		}
		e.hosts, devices = append(e.hosts, p), append(devices, p.device)
	}
	e.router = newRouter(o, devices)
	e.router.run(&e.ended)
	return e, nil
}

// Close takes the hosts away. Processes that run in them must have ended.
func (e *Emulator) Close() error {
	e.close()
	var errs []error
	for _, h := range e.hosts {
		errs = append(errs, h.device.Close())
	}
	if e.router != nil {
		e.router.close()
	}
	e.ended.Wait()
	return errors.Join(errs...)
}

// base is the network of hosts: one that is for measurements (RFC 2544), so that nothing on
// this machine or beyond is meant by it. Each host has a /24 of its own.
var base = [4]byte{198, 18, 0, 1}

// IP is the address of a host.
func IP(host int) netip.Addr {
	a := base
	a[2] = byte(host)
	return netip.AddrFrom4(a)
}

func hostAt(a netip.Addr) int { return int(a.As4()[2]) }

// In runs do on a thread of the host: the sockets that it opens itself and the processes
// that it starts are the host's. It must start no goroutine that opens sockets.
func (e *Emulator) In(host int, do func() error) error {
	done := make(chan error, 1)
	select {
	case e.hosts[host].work <- func() { done <- do() }:
		return <-done
	case <-e.closed:
		return errors.New("the hosts are gone")
	}
}

// Watch keeps the flights of a host's packets until the returned function is called.
func (e *Emulator) Watch(host int) (stop func() []Flight) { return e.router.watch(host) }

// router carries packets.
type router struct {
	o     Options
	began time.Time
	ends  []*end

	mu      sync.Mutex // guards the fields below
	watched int        // host; -1: none
	flights []Flight
}

// end is the router's end of one link.
type end struct {
	device device
	up     line
	down   line
	wake   chan struct{} // something was sent to this host, or the router closes

	mu     sync.Mutex // guards the fields below
	coming packets
	closed bool
}

// packet is on its way; due is when it reaches the host's link, then the host.
type packet struct {
	bytes     []byte
	from      int
	sent, due time.Duration
}

// packets is a heap, the first that is due on top.
type packets []packet

func (p packets) Len() int           { return len(p) }
func (p packets) Less(i, j int) bool { return p[i].due < p[j].due }
func (p packets) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)        { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

func newRouter(o Options, devices []device) *router {
	r := &router{o: o, began: time.Now(), watched: -1}
	queue := max(o.RTT, minQueue)
	for i, d := range devices {
		l := line{bits: o.Bits[i], queue: queue}
		r.ends = append(r.ends, &end{device: d, up: l, down: l, wake: make(chan struct{}, 1)})
	}
	return r
}

func (r *router) run(ended *sync.WaitGroup) {
	for i := range r.ends {
		ended.Go(func() { r.take(i) })
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

// take reads what a host sends until its device closes.
func (r *router) take(from int) {
	buf := make([]byte, mtu+64)
	for {
		n, err := r.ends[from].device.Read(buf)
		if err != nil {
			return
		}
		r.carry(from, buf[:n], time.Since(r.began))
	}
}

// carry sends a packet on its way.
func (r *router) carry(from int, b []byte, now time.Duration) {
	a, ok := destination(b)
	if !ok {
		return
	}
	to := hostAt(a)
	if to >= len(r.ends) || IP(to) != a || to == from {
		return
	}
	p := packet{from: from, sent: now, bytes: append([]byte(nil), b...)}
	gone, ok := r.ends[from].up.take(now, len(b))
	if !ok || r.o.Loss > 0 && rand.Float64() < r.o.Loss {
		r.note(p, to, true)
		return
	}
	p.due = gone + r.o.RTT/2
	e := r.ends[to]
	e.mu.Lock()
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
			if due, ok := e.down.take(p.due, len(p.bytes)); ok {
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
			r.note(ready[sent], to, false)
			e.device.Write(ready[sent].bytes) // one that the host does not take is lost
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
	f := Flight{Sent: r.began.Add(p.sent), Due: r.began.Add(p.due), Out: r.watched == p.from, Lost: lost, Peer: to}
	if !f.Out {
		f.Peer = p.from
	}
	f.describe(p.bytes)
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
		r.watched, r.flights = -1, nil
		return out
	}
}
