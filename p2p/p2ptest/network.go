// Package p2ptest is a network in memory, for tests alone: hosts on it speak QUIC over
// packets that no socket sees.
//
// The promise: all waiting on the network is by the clock and on channels. In a bubble of
// testing/synctest an hour passes as soon as every host waits; outside of one the same
// network shows distance and loss in real time.
//
// Left to others: streams over TCP, and limits that count bytes in a system's sockets,
// which tests with real sockets show.
package p2ptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"

	"github.com/walrus-network/walrus/p2p/internal/wire"
)

// Network carries packets between places.
type Network struct {
	mu      sync.Mutex    // guards the fields below
	latency time.Duration // of each packet
	loss    float64       // part of the packets that do not arrive
	places  int
	ports   uint16 // the last that was given to a socket that asked for none
	sockets map[netip.AddrPort]*socket
	chance  *rand.Rand
	walls   map[netip.Addr]map[flow]bool // of places behind a router: what they have sent packets to
}

// flow is a socket of a place behind a router, and an address that it has sent packets to.
type flow struct{ inside, outside netip.AddrPort }

// NewNetwork makes a network. Which packets are lost follows from their order alone.
func NewNetwork(t testing.TB, latency time.Duration, loss float64) *Network {
	t.Helper()
	if latency < 0 || loss < 0 || loss >= 1 {
		t.Fatalf("a network with a latency of %s and a loss of %g", latency, loss)
	}
	return &Network{latency: latency, loss: loss, ports: 40_000, sockets: map[netip.AddrPort]*socket{}, chance: rand.New(rand.NewPCG(1, 2)), walls: map[netip.Addr]map[flow]bool{}}
}

// Stretch makes the network wider, and worse, from now on. A packet must not overtake
// those that are on their way, so that the latency may only grow.
func (n *Network) Stretch(t testing.TB, latency time.Duration, loss float64) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if latency < n.latency || loss < 0 || loss >= 1 {
		t.Fatalf("from a latency of %s to one of %s, and a loss of %g", n.latency, latency, loss)
	}
	n.latency, n.loss = latency, loss
}

// Place is where one host is: an IP address of its own, in a network of addresses of its
// own (24 bits), which counts as loopback.
type Place struct {
	Wire   *wire.Wire // for p2p.Config
	Listen string     // a multiaddr of this place, for p2p.Config, and for others to dial
	IP     netip.Addr
}

// Place gives a place that no other host has. A host that is closed may be opened there again.
func (n *Network) Place() Place { return n.place(127) }

// PublicPlace gives a place whose address counts as one of the Internet.
func (n *Network) PublicPlace() Place { return n.place(45) }

// Walled gives a public place behind a router that lets in packets only from where the
// host has sent some: nobody can dial it, and two hosts that dial each other at the same
// time get through. Addresses are not translated.
func (n *Network) Walled() Place {
	p := n.PublicPlace()
	n.mu.Lock()
	n.walls[p.IP] = map[flow]bool{}
	n.mu.Unlock()
	return p
}

func (n *Network) place(first byte) Place {
	n.mu.Lock()
	n.places++
	ip := netip.AddrFrom4([4]byte{first, 64 + byte(n.places>>8), byte(n.places), 1})
	n.mu.Unlock()
	open := func(_ string, want *net.UDPAddr) (net.PacketConn, error) { return n.open(ip, uint16(want.Port)) }
	source := func() (quicreuse.SourceIPSelector, error) { return from(ip), nil }
	return Place{
		Wire: &wire.Wire{Options: []libp2p.Option{
			libp2p.QUICReuse(newConnManager, quicreuse.OverrideListenUDP(open), quicreuse.OverrideSourceIPSelector(source)),
			libp2p.DisableIdentifyAddressDiscovery(), // its worker waits on what a bubble does not see
		}},
		Listen: fmt.Sprintf("/ip4/%s/udp/4001/quic-v1", ip),
		IP:     ip,
	}
}

// newConnManager is libp2p's own, closed with its host.
func newConnManager(life fx.Lifecycle, reset quic.StatelessResetKey, tokens quic.TokenGeneratorKey, options ...quicreuse.Option) (*quicreuse.ConnManager, error) {
	m, err := quicreuse.NewConnManager(reset, tokens, options...)
	if err == nil {
		life.Append(fx.StopHook(m.Close))
	}
	return m, err
}

// from is a source address whatever the destination.
type from netip.Addr

func (f from) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return netip.Addr(f).AsSlice(), nil
}

// open is a socket; port 0 is any that is free.
func (n *Network) open(ip netip.Addr, port uint16) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		n.ports++
		port = n.ports
	}
	at := netip.AddrPortFrom(ip, port)
	if n.sockets[at] != nil {
		return nil, fmt.Errorf("listen on %s: address already in use", at)
	}
	s := newSocket(n, at)
	n.sockets[at] = s
	return s, nil
}

func (n *Network) close(s *socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[s.at] == s {
		delete(n.sockets, s.at)
	}
}

// carry brings a packet on its way, or loses it.
func (n *Network) carry(p packet, to netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sockets[to]
	if sent := n.walls[p.from.Addr()]; sent != nil {
		sent[flow{p.from, to}] = true
	}
	if sent := n.walls[to.Addr()]; sent != nil && !sent[flow{to, p.from}] {
		return
	}
	if s == nil || n.loss > 0 && n.chance.Float64() < n.loss {
		return
	}
	p.due = time.Now().Add(n.latency)
	select {
	case s.inbox <- p:
	default: // as a full buffer of a real socket loses it
	}
}
