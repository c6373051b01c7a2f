package emulator

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// udpFront is where hosts send packets to what listens over UDP at an address.
type udpFront struct {
	relay  *Relay
	socket *net.UDPConn
	host   int
	at     netip.AddrPort

	mu    sync.Mutex // guards flows
	flows map[netip.AddrPort]*udpFlow
}

// udpFlow is the packets between a front and a source. What listens sees its socket as the
// sender, and answers there.
type udpFlow struct {
	front  *udpFront
	from   netip.AddrPort
	host   int // of from
	socket *net.UDPConn
}

const (
	restUDP     = 2 * time.Minute // without an answer after which a flow is over; QUIC gives up sooner
	headersUDP  = 28              // bytes of IPv4 and UDP
	relayBuffer = 4 << 20         // asked of the system for each socket
)

// serve carries what comes until the socket closes.
func (f *udpFront) serve() {
	f.socket.SetReadBuffer(relayBuffer)
	buf := make([]byte, maxPacket)
	for {
		n, from, err := f.socket.ReadFromUDPAddrPort(buf)
		if err != nil {
			if f.relay.isClosed() {
				return
			}
			continue // the system tells of an earlier packet that none took
		}
		flow := f.flow(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		if flow == nil {
			continue
		}
		b := append([]byte(nil), buf[:n]...)
		f.relay.sendUDP(b, flow.host, f.host, flow.from.Port(), f.port(), func() { flow.socket.Write(b) })
	}
}

func (f *udpFront) port() uint16 { return f.socket.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// sendUDP carries a packet, unless it is longer than hosts take.
func (r *Relay) sendUDP(b []byte, from, to int, fromPort, toPort uint16, deliver func()) {
	if len(b)+headersUDP > mtu {
		return
	}
	r.router.send(packet{from: from, bytes: len(b) + headersUDP, deliver: func(time.Duration) { deliver() },
		about: Flight{Protocol: protocolUDP, From: fromPort, To: toPort, Payload: len(b), Connects: len(b) > 0 && b[0]&longHeader != 0}}, to)
}

// flow is the one of a source; nil where none can be opened.
func (f *udpFront) flow(from netip.AddrPort) *udpFlow {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flow := f.flows[from]; flow != nil {
		return flow
	}
	s, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(f.at))
	if err != nil || !f.relay.keep(s) {
		return nil
	}
	flow := &udpFlow{front: f, from: from, host: f.relay.start(source{true, from}), socket: s}
	f.flows[from] = flow
	f.relay.ended.Go(flow.serve)
	return flow
}

// serve carries answers until there are none for a while.
func (w *udpFlow) serve() {
	f := w.front
	defer func() {
		f.mu.Lock()
		delete(f.flows, w.from)
		f.mu.Unlock()
		f.relay.drop(w.socket)
		f.relay.stop(source{true, w.from})
	}()
	w.socket.SetReadBuffer(relayBuffer)
	buf := make([]byte, maxPacket)
	heard := time.Now()
	for {
		w.socket.SetReadDeadline(heard.Add(restUDP))
		n, err := w.socket.Read(buf)
		if err != nil {
			if f.relay.isClosed() || time.Since(heard) >= restUDP {
				return
			}
			time.Sleep(time.Millisecond)
			continue // what listens is not there yet
		}
		heard = time.Now()
		b := append([]byte(nil), buf[:n]...)
		f.relay.sendUDP(b, f.host, w.host, f.port(), w.from.Port(), func() { f.socket.WriteToUDPAddrPort(b, w.from) })
	}
}
