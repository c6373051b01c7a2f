package comet

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"

	"github.com/walrus-network/walrus/ledger"
)

// How many peers beside the committee are connected to the agreement's port. A member of
// the committee, of the one before or of the next always has a place.
const (
	maxRegistered    = 32 // nodes on the ledger that are in no committee: they follow the chain
	maxNetRegistered = 8  // of them from one network of addresses
	maxStrangers     = 8  // any other peer: a node that has yet to register
	maxNetStrangers  = 2
	strangerStays    = 30 * time.Second // then it makes room for another

	// Connections whose handshake is not over.
	maxHalfOpen       = 128
	maxNetHalfOpen    = 16
	maxMemberHalfOpen = 256             // of an address that a member uses
	halfOpenFor       = 7 * time.Second // CometBFT gives both parts of the handshake 3 s each

	maxConnections = 1500 // in all: a thousand members, and the others

	lookAgain = time.Second // for changes of the members
)

// rank is what a peer of the agreement may do.
type rank uint8

const (
	rankStranger   rank = iota // asks for blocks, and is told of new ones
	rankRegistered             // the same, and has more places
	rankMember                 // takes part
)

var (
	errNoPlace  = errors.New("no place for peers outside the committee: try again in a moment")
	errHalfOpen = errors.New("too many connections from there have not ended their handshake")
)

// peers decides which peers may be connected to the agreement's port.
type peers struct {
	machine       func() *ledger.Machine
	countLoopback bool
	now           func() time.Time

	mu       sync.Mutex // guards the fields below
	members  map[p2p.ID]bool
	nodes    map[p2p.ID]bool
	graph    graph     // of the members
	block    time.Time // of the last block, by its own time; zero: there is none
	looked   time.Time
	halfOpen map[string]time.Time // by remote address
	known    map[netip.Addr]bool  // addresses from which a member has come
	since    map[p2p.ID]time.Time // when one that is no member came
}

func newPeers(machine func() *ledger.Machine, countLoopback bool) *peers {
	return &peers{machine: machine, countLoopback: countLoopback, now: time.Now,
		halfOpen: map[string]time.Time{}, known: map[netip.Addr]bool{}, since: map[p2p.ID]time.Time{}}
}

// of is a peer's standing on the ledger that this node sees.
func (s *peers) of(id p2p.ID) rank {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	switch {
	case s.members[id]:
		return rankMember
	case s.nodes[id]:
		return rankRegistered
	}
	return rankStranger
}

// look reads the members of the committees; mu is held. A failure to read changes
// nothing.
func (s *peers) look() {
	now := s.now()
	if s.members != nil && now.Sub(s.looked) < lookAgain {
		return
	}
	s.looked = now
	if s.members == nil {
		s.members = map[p2p.ID]bool{}
	}
	v, release, err := s.machine().Hold()
	if err != nil {
		return
	}
	defer release()
	members, nodes := map[p2p.ID]bool{}, map[p2p.ID]bool{}
	var committees []ledger.Committee
	var present ledger.Committee
	head, err := v.Head()
	if err != nil {
		return
	}
	if head.Height > 0 {
		s.block = time.UnixMilli(head.TimeMs)
	}
	for e := head.Epoch.Minus(1); e <= head.Epoch+1; e++ {
		c, err := v.Committee(e)
		if err != nil {
			continue // not there, or forgotten
		}
		committees = append(committees, c)
		if e == head.Epoch {
			present = c
		}
		for _, x := range c.Nodes {
			members[p2p.PubKeyToID(ed25519.PubKey(x.ID[:]))] = true
		}
	}
	err = v.EachNode(func(n ledger.NodeRecord) error {
		nodes[p2p.PubKeyToID(ed25519.PubKey(n.ID[:]))] = true
		return nil
	})
	if err == nil && len(members) > 0 {
		s.members, s.nodes, s.graph = members, nodes, s.graph.of(committees, present)
	}
}

// connects is the graph of the members, and the age of the last block; 0: there is none.
func (s *peers) connects() (g graph, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	if !s.block.IsZero() {
		age = s.now().Sub(s.block)
	}
	return s.graph, age
}

// dials notes an address that this node is about to dial a peer at.
func (s *peers) dials(a *p2p.NetAddress) {
	if ip, ok := netip.AddrFromSlice(a.IP); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.comesFrom(ip.Unmap())
	}
}

// comesFrom notes a member's address; mu is held.
func (s *peers) comesFrom(ip netip.Addr) {
	if len(s.known) >= maxConnections {
		clear(s.known)
	}
	s.known[ip] = true
}

// knocks judges a connection that has just been made, before its handshake.
func (s *peers) knocks(remote string) error {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return err
	}
	ip := from.Addr().Unmap()
	place := s.networkOf(ip)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	all, near, same := 0, 0, 0
	for a, at := range s.halfOpen {
		if now.Sub(at) >= halfOpenFor {
			delete(s.halfOpen, a)
			continue
		}
		other, err := netip.ParseAddrPort(a)
		if err != nil {
			continue
		}
		if other := other.Addr().Unmap(); other == ip {
			same++
		} else if s.known[other] {
			continue
		}
		all++
		if place.IsValid() && place.Contains(other.Addr().Unmap()) {
			near++
		}
	}
	switch {
	case s.known[ip]:
		if same >= maxMemberHalfOpen {
			return errHalfOpen
		}
	case all >= maxHalfOpen, place.IsValid() && near >= maxNetHalfOpen:
		return errHalfOpen
	}
	s.halfOpen[remote] = now
	return nil
}

// networkOf is the network that an address is counted with: none for loopback, unless it
// is counted.
func (s *peers) networkOf(ip netip.Addr) netip.Prefix {
	if ip.IsLoopback() && !s.countLoopback {
		return netip.Prefix{}
	}
	bits := 24
	if ip.Is6() {
		bits = 56
	}
	out, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return out
}

// admit judges a peer whose handshake is over, and makes room for it where it may.
func (s *peers) admit(sw *p2p.Switch, peer p2p.Peer) error {
	s.mu.Lock()
	delete(s.halfOpen, peer.RemoteAddr().String())
	s.mu.Unlock()
	of := s.of(peer.ID())
	from := addrOf(peer)
	if of == rankMember || peer.IsOutbound() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.comesFrom(from)
		return nil
	}
	most, mostNear := maxStrangers, maxNetStrangers
	if of == rankRegistered {
		most, mostNear = maxRegistered, maxNetRegistered
	}
	place := s.networkOf(from)
	var all, near []p2p.Peer
	sw.Peers().ForEach(func(p p2p.Peer) {
		if p.IsOutbound() || s.of(p.ID()) != of {
			return
		}
		all = append(all, p)
		if place.IsValid() && place.Contains(addrOf(p)) {
			near = append(near, p)
		}
	})
	for _, group := range []struct {
		peers []p2p.Peer
		most  int
	}{{near, mostNear}, {all, most}} {
		if len(group.peers) < group.most {
			continue
		}
		oldest := s.oldest(group.peers)
		if oldest == nil {
			return errNoPlace
		}
		sw.StopPeerGracefully(oldest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.since {
		if !sw.Peers().Has(id) {
			delete(s.since, id)
		}
	}
	s.since[peer.ID()] = s.now()
	return nil
}

// oldest is the peer that has been connected for longest, if that is long enough.
func (s *peers) oldest(list []p2p.Peer) (out p2p.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var since time.Time
	for _, p := range list {
		if at := s.since[p.ID()]; out == nil || at.Before(since) {
			out, since = p, at
		}
	}
	if out == nil || s.now().Sub(since) < strangerStays {
		return nil
	}
	return out
}

func addrOf(p p2p.Peer) netip.Addr {
	host, _, err := net.SplitHostPort(p.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap()
}
