package emulator

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// tcpFront is where hosts connect to what listens over TCP at an address.
type tcpFront struct {
	relay    *Relay
	listener net.Listener
	host     int
	use      Use
	address  string
}

const (
	segment      = 1448         // bytes of TCP in a packet
	headersTCP   = 52           // of each
	runTCP       = 4 * segment  // bytes that are carried on together
	firstWindow  = 10 * segment // bytes on their way at most, at the beginning
	mostWindow   = 6 << 20      // bytes on their way at most: the buffers of a system
	synchronizes = 0x02         // flag of TCP
	finishes     = 0x01         // flag of TCP
)

func (f *tcpFront) serve() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.relay.ended.Go(func() { f.carry(c.(*net.TCPConn)) })
	}
}

// conversation is a connection from one host to another.
type conversation struct {
	relay    *Relay
	from, to int // hosts
	fromPort uint16
	toPort   uint16
	here     *net.TCPConn // to the one that dialed
	there    *net.TCPConn // to what listens
	over     chan struct{}
	end      func()
}

// carry carries a connection until both of its ways have ended. The system has connected the
// one that dialed already: nothing that it says is taken before a round trip has gone by, and
// what listens hears of it after half of one.
func (f *tcpFront) carry(here *net.TCPConn) {
	r := f.relay
	if !r.keep(here) {
		return
	}
	defer r.drop(here)
	at := here.RemoteAddr().(*net.TCPAddr).AddrPort()
	from := source{false, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}
	c := &conversation{relay: r, from: r.among, to: f.host, fromPort: at.Port(), toPort: uint16(f.listener.Addr().(*net.TCPAddr).Port), here: here, over: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.over) })
	if f.use != Ledger {
		c.from = r.start(from)
		defer r.stop(from)
	}
	if !c.handshake(f.address) {
		here.SetLinger(0) // as a port that is closed refuses
		return
	}
	defer r.drop(c.there)
	stopped := make(chan struct{})
	r.ended.Go(func() {
		<-c.over
		here.Close()
		c.there.Close()
		close(stopped)
	})
	var ways sync.WaitGroup
	ways.Go(func() { c.way(true).run() })
	ways.Go(func() { c.way(false).run() })
	ways.Wait()
	c.end()
	<-stopped
}

// handshake carries a connection's first packets; false: what should listen does not.
func (c *conversation) handshake(address string) bool {
	if !c.packet(true) {
		return false
	}
	there, err := net.Dial("tcp4", address)
	if err == nil {
		c.there = there.(*net.TCPConn)
		if !c.relay.keep(c.there) {
			return false
		}
	}
	return c.packet(false) && err == nil
}

// packet carries a packet without bytes, and waits until it is there.
func (c *conversation) packet(out bool) bool {
	there := make(chan struct{})
	c.send(out, nil, synchronizes, func(time.Duration) { close(there) })
	select {
	case <-there:
		return true
	case <-c.relay.gone:
		return false
	}
}

// send carries bytes from the one that dialed, or to it.
func (c *conversation) send(out bool, b []byte, flags byte, deliver func(took time.Duration)) {
	from, to, fromPort, toPort := c.from, c.to, c.fromPort, c.toPort
	if !out {
		from, to, fromPort, toPort = to, from, toPort, fromPort
	}
	packets := max(1, (len(b)+segment-1)/segment)
	c.relay.router.send(packet{from: from, bytes: len(b) + packets*headersTCP, patient: true, deliver: deliver,
		about: Flight{Protocol: protocolTCP, From: fromPort, To: toPort, Payload: len(b), Flags: flags}}, to)
}
