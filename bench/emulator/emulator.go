package emulator

import (
	"errors"
	"fmt"
	"io"
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

// queue is the longest time that a packet waits for a link.
func (o Options) queue() time.Duration { return max(o.RTT, minQueue) }

// mtu is the longest packet, in bytes.
const mtu = 1500

// Emulator is hosts and the router between them.
type Emulator struct {
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
	e := &Emulator{closed: make(chan struct{})}
	e.close = sync.OnceFunc(func() { close(e.closed) })
	for i := range o.Bits {
		p, err := newPlace(e.closed, IP(i))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("a host at a distance: %w", err), e.Close())
		}
		e.hosts = append(e.hosts, p)
	}
	e.start(o)
	return e, nil
}

// start lets the router carry what the hosts' devices give.
func (e *Emulator) start(o Options) {
	e.router = newRouter(o)
	e.router.run(&e.ended)
	for i := range e.hosts {
		e.ended.Go(func() { e.take(i) })
	}
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

// Kind says what the distance is made of.
func (*Emulator) Kind() string { return "tun devices in network namespaces" }

// Address is where programs of a host listen.
func (*Emulator) Address(host int) string { return IP(host).String() }

// Front is where other hosts reach what listens at an address of a host: there.
func (*Emulator) Front(_ int, _ Use, address string) (string, error) { return address, nil }

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

// take reads what a host sends until its device closes.
func (e *Emulator) take(from int) {
	buf := make([]byte, mtu+64)
	for {
		n, err := e.hosts[from].device.Read(buf)
		if err != nil {
			return
		}
		e.carry(from, append([]byte(nil), buf[:n]...))
	}
}

// carry sends an IPv4 packet on its way.
func (e *Emulator) carry(from int, b []byte) {
	a, ok := destination(b)
	if !ok {
		return
	}
	to := hostAt(a)
	if to >= len(e.hosts) || IP(to) != a || to == from {
		return
	}
	device := e.hosts[to].device
	p := packet{from: from, bytes: len(b), deliver: func(time.Duration) { device.Write(b) }} // one that the host does not take is lost
	p.about.describe(b)
	e.router.send(p, to)
}
