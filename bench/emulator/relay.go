package emulator

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Use is what listens at an address.
type Use int

const (
	QUIC   Use = iota // over UDP: any host may send to it
	TCP               // any host may connect to it
	Ledger            // TCP of the nodes' agreement: hosts that are no nodes never connect
)

// Relay is a distance between processes on the loopback interface, where a machine lets
// this one make no hosts: what listens is reached at another address, its front, and what
// comes there is carried on over the same links as an Emulator's.
//
// Packets of UDP are carried one by one, whole, so that QUIC is as it is between hosts. TCP
// ends at the front: its bytes are carried on in runs, and its handshake and congestion
// control are imitated (conversation). No packet of it is lost.
//
// It is left to those that start programs to tell them of fronts alone: what dials the
// address itself passes the relay by.
type Relay struct {
	o      Options
	nodes  int // hosts that listen; those after them only dial
	among  int // a host without a bound, in place of a node that dials another's ledger
	router *router
	gone   chan struct{} // closed by Close
	ended  sync.WaitGroup

	mu     sync.Mutex                              // guards the fields below
	open   map[interface{ Close() error }]struct{} // sockets
	owners map[source]*owner
	turn   int // host whose program sends from an address that is not known
}

// source is an address that a program sends from.
type source struct {
	udp bool
	at  netip.AddrPort
}

// owner is the host of a source. A node's own addresses are kept; others as long as there
// are flows.
type owner struct {
	host  int
	flows int
	kept  bool
}

// NewRelay makes links for hosts, of which the first so many are nodes. Of the others one
// at a time sends to addresses that it has not sent to: the one that was watched last.
func NewRelay(o Options, nodes int) (*Relay, error) {
	if o.Loss > 0 {
		return nil, errors.New("relays carry TCP without its packets, and can lose none of them")
	}
	links := o
	links.Bits = append(slices.Clone(o.Bits), unbounded)
	r := &Relay{o: o, nodes: nodes, among: len(o.Bits), router: newRouter(links), gone: make(chan struct{}), open: map[interface{ Close() error }]struct{}{}, owners: map[source]*owner{}, turn: nodes}
	r.router.run(&r.ended)
	return r, nil
}

// Close ends all that is carried.
func (r *Relay) Close() error {
	r.mu.Lock()
	open := r.open
	r.open = nil
	if open != nil {
		close(r.gone)
	}
	r.mu.Unlock()
	for s := range open {
		s.Close()
	}
	r.router.close()
	r.ended.Wait()
	return nil
}

// Kind says what the distance is made of.
func (*Relay) Kind() string {
	return "relays on the loopback interface: QUIC packet by packet; TCP's handshake and congestion control are imitated"
}

// unbounded is bits a second: more than this machine carries.
const unbounded = 1e12

// loopback is the address of all hosts: other ones of the interface are not up on every
// system.
const loopback = "127.0.0.1"

// Address is where programs of a host listen.
func (*Relay) Address(int) string { return loopback }

// In runs do, which starts a program of a host.
func (r *Relay) In(host int, do func() error) error {
	r.take(host)
	return do()
}

// Watch keeps the flights of a host's packets until the returned function is called.
func (r *Relay) Watch(host int) (stop func() []Flight) {
	r.take(host)
	return r.router.watch(host)
}

// take gives a host its turn. Nodes need none: their addresses are known.
func (r *Relay) take(host int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if host >= r.nodes {
		r.turn = host
	}
}

// Front opens the front of what listens, or will, at an address of a host.
func (r *Relay) Front(host int, use Use, address string) (string, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", fmt.Errorf("a front: %w", err)
	}
	r.mu.Lock()
	r.owners[source{use == QUIC, at}] = &owner{host: host, kept: true}
	r.mu.Unlock()
	if use == QUIC {
		s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(loopback)})
		if err != nil {
			return "", err
		}
		if !r.keep(s) {
			return "", net.ErrClosed
		}
		f := &udpFront{relay: r, socket: s, host: host, at: at, flows: map[netip.AddrPort]*udpFlow{}}
		r.ended.Go(f.serve)
		return s.LocalAddr().String(), nil
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", err
	}
	if !r.keep(l) {
		return "", net.ErrClosed
	}
	f := &tcpFront{relay: r, listener: l, host: host, use: use, address: address}
	r.ended.Go(f.serve)
	return l.Addr().String(), nil
}

// keep closes a socket when the relay is closed; false: it is, and the socket too.
func (r *Relay) keep(s interface{ Close() error }) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		s.Close()
		return false
	}
	r.open[s] = struct{}{}
	return true
}

// drop closes a socket.
func (r *Relay) drop(s interface{ Close() error }) {
	s.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s)
}

// start is the host of a source from which a flow begins.
func (r *Relay) start(s source) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[s]
	if o == nil {
		o = &owner{host: r.turn}
		r.owners[s] = o
	}
	o.flows++
	return o.host
}

// stop is told of the end of a flow.
func (r *Relay) stop(s source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.owners[s]; o != nil {
		if o.flows--; o.flows == 0 && !o.kept {
			delete(r.owners, s)
		}
	}
}

// isClosed says that the relay is gone.
func (r *Relay) isClosed() bool {
	select {
	case <-r.gone:
		return true
	default:
		return false
	}
}
