package p2ptest

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// maxInbox is how many packets are on the way to a socket or wait there: those beyond are lost.
const maxInbox = 8192

// packet is bytes on their way.
type packet struct {
	from  netip.AddrPort
	bytes []byte
	due   time.Time // when it arrives
}

// socket is a packet connection with one reader, as QUIC uses it. Packets have one
// latency, so that they come in the order in which they are due.
type socket struct {
	net    *Network
	at     netip.AddrPort
	inbox  chan packet
	moved  chan struct{} // the deadline has moved
	closed chan struct{}
	close  func()

	next *packet // the reader's: taken from the inbox, and not due yet

	mu       sync.Mutex // guards deadline
	deadline time.Time  // of reads; zero: none
}

func newSocket(n *Network, at netip.AddrPort) *socket {
	s := &socket{net: n, at: at, inbox: make(chan packet, maxInbox), moved: make(chan struct{}, 1), closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	return s
}

// ReadFrom waits for a packet that has arrived.
func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		s.mu.Lock()
		deadline := s.deadline
		s.mu.Unlock()
		var late, due <-chan time.Time
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return 0, nil, os.ErrDeadlineExceeded
			}
			timer := time.NewTimer(left)
			defer timer.Stop()
			late = timer.C
		}
		inbox := s.inbox
		if s.next != nil {
			left := time.Until(s.next.due)
			if left <= 0 {
				p := s.next
				s.next = nil
				return copy(b, p.bytes), net.UDPAddrFromAddrPort(p.from), nil
			}
			timer := time.NewTimer(left)
			defer timer.Stop()
			due, inbox = timer.C, nil
		}
		select {
		case p := <-inbox:
			s.next = &p
		case <-due:
		case <-late:
		case <-s.moved:
		case <-s.closed:
			return 0, nil, net.ErrClosed
		}
	}
}

// WriteTo sends a packet; it never waits.
func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	default:
	}
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.AddrError{Err: "not an address of UDP", Addr: to.String()}
	}
	at := udp.AddrPort()
	s.net.carry(packet{from: s.at, bytes: slices.Clone(b)}, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	return len(b), nil
}

func (s *socket) Close() error {
	s.net.close(s)
	s.close()
	return nil
}

func (s *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.at) }

// SetReadDeadline moves the deadline of reads, also of one that waits.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	s.deadline = t
	s.mu.Unlock()
	select {
	case s.moved <- struct{}{}:
	default:
	}
	return nil
}

func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes never wait.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer and SetWriteBuffer are asked for by QUIC, which warns where there are none.
func (s *socket) SetReadBuffer(int) error  { return nil }
func (s *socket) SetWriteBuffer(int) error { return nil }
