package p2p

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A relay carries what peers have to say to a node behind a router, until the two have
// found a way of their own. The limits of libp2p (128 KiB, two minutes) are made for that
// moment alone; here whole fragments go through where there is no other way.
const (
	relayBytes    = 1 << 30          // each way, of one relayed connection
	relayDuration = 30 * time.Minute // of one relayed connection
	relayBuffer   = 64 << 10         // each way; libp2p's 2 KiB make bulk slow

	maxReservations   = 128 // nodes that one relay serves
	maxNetReserved    = 8   // of one IP address: an operator may have some nodes behind one router
	maxCircuits       = 64  // relayed connections of one peer, at one relay
	maxAllCircuits    = 256 // of one relay
	reservationTTL    = time.Hour
	wantRelays        = 3  // of a node behind a router: one that stops is missed by nobody
	maxStrangers      = 16 // reservations of peers that are not on the ledger (yet)
	maxNetStrangers   = 2  // of these from one network of addresses
	maxMeetings       = 4  // relayed connections an hour between peers that are not on the ledger
	relayBackoff      = time.Minute
	relayAskInterval  = 5 * time.Second // between two looks for relays
	maxRelayCandidate = 16
)

// relayOptions makes a host relay for others while it is reached directly, and look for
// relays while it is not.
func (h *Host) relayOptions() []libp2p.Option {
	r := relayv2.Resources{
		Limit:          &relayv2.RelayLimit{Data: relayBytes, Duration: relayDuration},
		ReservationTTL: reservationTTL, MaxReservations: maxReservations, MaxCircuits: maxCircuits, BufferSize: relayBuffer,
		MaxReservationsPerPeer: 1, MaxReservationsPerIP: maxNetReserved, MaxReservationsPerASN: maxReservations,
	}
	options := []libp2p.Option{
		libp2p.EnableHolePunching(holepunch.WithAddrFilter(punchFilter{})),
		// Whether peers reach the host is found out by itself, see reach.go: until then it
		// is taken for reached.
		libp2p.ForceReachabilityPublic(), libp2p.AddrsFactory(h.reach.announced),
		libp2p.EnableRelayService(relayv2.WithResources(r), relayv2.WithACL(&relayGuests{standing: h.standingOf, near: h.isNodeIP, now: time.Now})),
		libp2p.EnableAutoRelayWithPeerSource(h.relayCandidates, autorelay.WithNumRelays(wantRelays), autorelay.WithMinCandidates(1), autorelay.WithMaxCandidates(maxRelayCandidate),
			autorelay.WithBootDelay(0), autorelay.WithBackoff(relayBackoff), autorelay.WithMinInterval(relayAskInterval)),
	}
	if h.wire == nil {
		options = append(options, libp2p.NATPortMap()) // asks the router of this machine
	}
	return options
}

// limitRelay sets what relaying may take in all.
func limitRelay(limits *rcmgr.ScalingLimitConfig) {
	all := rcmgr.BaseLimit{Streams: 4 * maxAllCircuits, StreamsInbound: 2 * maxAllCircuits, StreamsOutbound: 2 * maxAllCircuits, Memory: 2 * maxAllCircuits * relayBuffer}
	one := rcmgr.BaseLimit{Streams: 2 * maxCircuits, StreamsInbound: maxCircuits, StreamsOutbound: maxCircuits, Memory: 4 * maxCircuits * relayBuffer}
	limits.AddServiceLimit(relayv2.ServiceName, all, rcmgr.BaseLimitIncrease{})
	limits.AddServicePeerLimit(relayv2.ServiceName, one, rcmgr.BaseLimitIncrease{})
	all.Memory, one.Memory = 4<<30, 1<<30 // of streams: windows that may be filled, not bytes held
	for _, id := range []protocol.ID{circuit.ProtoIDv2Hop, circuit.ProtoIDv2Stop} {
		limits.AddProtocolLimit(id, all, rcmgr.BaseLimitIncrease{})
		limits.AddProtocolPeerLimit(id, one, rcmgr.BaseLimitIncrease{})
	}
}

// relayGuests admits to a relay: each node of the ledger, and a few peers that may become one.
type relayGuests struct {
	standing func(peer.ID) Standing
	near     func(netip.Addr) bool // of an IP address: is that of a node of the ledger
	now      func() time.Time

	mu        sync.Mutex // guards the fields below
	strangers []relayGuest
	met       []time.Time // when strangers were let to strangers, in the last hour
}

// relayGuest is the reservation of a peer that is not on the ledger.
type relayGuest struct {
	peer peer.ID
	net  netip.Prefix
	end  time.Time
}

var _ relayv2.ACLFilter = (*relayGuests)(nil)

// AllowReserve lets a node of the ledger reserve, and a bounded number of others: a node
// must be reached before it can register.
func (g *relayGuests) AllowReserve(p peer.ID, from ma.Multiaddr) bool {
	if g.standing(p) != Stranger {
		return true
	}
	net := networkOf(from, true)
	g.mu.Lock()
	defer g.mu.Unlock()
	now, same := g.now(), 0
	g.strangers = slices.DeleteFunc(g.strangers, func(s relayGuest) bool { return s.peer == p || !s.end.After(now) })
	for _, s := range g.strangers {
		if s.net == net {
			same++
		}
	}
	if len(g.strangers) >= maxStrangers || same >= maxNetStrangers {
		return false
	}
	g.strangers = append(g.strangers, relayGuest{p, net, now.Add(reservationTTL)})
	return true
}

// AllowConnect lets any peer come to a node of the ledger: clients have no standing. To a
// peer that is not on the ledger (yet) nodes come, to find out whether it is reached, and few
// others, since a node that was just entered is not known at once: else any strangers could
// send each other gigabytes at the relay's cost. A node that dials back has a name of the
// moment, and its IP address tells it.
func (g *relayGuests) AllowConnect(p peer.ID, from ma.Multiaddr, to peer.ID) bool {
	if g.standing(to) != Stranger || g.standing(p) != Stranger {
		return true
	}
	if ip, err := ipOf(from); err == nil && g.near(ip) {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.met = slices.DeleteFunc(g.met, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	if len(g.met) >= maxMeetings {
		return false
	}
	g.met = append(g.met, now)
	return true
}

// isNodeIP says whether an IP address is this host's, or that of a connected node of the
// ledger.
func (h *Host) isNodeIP(ip netip.Addr) bool {
	own, err := h.libp2p.Network().InterfaceListenAddresses()
	if err == nil && slices.ContainsFunc(own, func(a ma.Multiaddr) bool { x, err := ipOf(a); return err == nil && x == ip }) {
		return true
	}
	return slices.ContainsFunc(h.libp2p.Network().Conns(), func(c network.Conn) bool {
		x, err := ipOf(c.RemoteMultiaddr())
		return err == nil && x == ip && h.standingOf(c.RemotePeer()) != Stranger
	})
}

// maxPunched is how many addresses that a peer names are dialed to get through to it.
const maxPunched = 4

// punchFilter bounds where a peer that came through a relay lets this host dial: else one
// connection would make it knock at dozens of doors, in its own local network too.
type punchFilter struct{}

var _ holepunch.AddrFilter = punchFilter{}

func (punchFilter) FilterLocal(_ peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr { return addrs }

func (punchFilter) FilterRemote(_ peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	out := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return relayed(a) || !manet.IsPublicAddr(a) })
	return out[:min(len(out), maxPunched)]
}

// relayCandidates lists peers that may relay for this host: those that its record on the
// ledger names, then other nodes.
func (h *Host) relayCandidates(_ context.Context, most int) <-chan peer.AddrInfo {
	list := h.reach.relaysOfRecord()
	for _, p := range h.Nodes() {
		list = append(list, peer.AddrInfo{ID: p})
	}
	out := make(chan peer.AddrInfo, most)
	defer close(out)
	seen := map[peer.ID]bool{h.ID(): true}
	for _, c := range list {
		if seen[c.ID] || len(out) == most {
			continue
		}
		seen[c.ID] = true
		if len(c.Addrs) == 0 {
			c.Addrs = h.directAddrs(c.ID)
		}
		out <- c
	}
	return out
}

// directAddrs is the addresses of a peer that are not relayed: those where it is connected
// or was, and those of the bootstrap list.
func (h *Host) directAddrs(p peer.ID) (out []ma.Multiaddr) {
	for _, b := range h.Bootstrap() {
		if b.ID == p {
			out = append(out, b.Addrs...)
		}
	}
	return slices.DeleteFunc(append(out, h.libp2p.Peerstore().Addrs(p)...), relayed)
}

// relayed says whether an address leads through a relay.
func relayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// Relayed says whether an address leads through a relay.
func Relayed(addr string) bool {
	a, err := ma.NewMultiaddr(addr)
	return err == nil && relayed(a)
}

// relayOf is the relay that an address leads through, and the address of it.
func relayOf(a ma.Multiaddr) (relay peer.AddrInfo, ok bool) {
	head, _ := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_CIRCUIT })
	if len(head) == len(a) {
		return relay, false
	}
	info, err := peer.AddrInfoFromP2pAddr(head)
	if err != nil {
		return relay, false
	}
	return *info, true
}

// knownRelay is the addresses at which a peer may be dialed as a relay on a stranger's
// word: those that its own connections come from or go to, of a node on the ledger. So
// nobody is made to knock at a third party's door.
func (h *Host) knownRelay(p peer.ID) []ma.Multiaddr {
	if p == h.ID() {
		return slices.DeleteFunc(h.libp2p.Addrs(), relayed)
	}
	if h.standingOf(p) == Stranger {
		return nil
	}
	var from []netip.Addr
	for _, c := range h.libp2p.Network().ConnsToPeer(p) {
		if ip, err := ipOf(c.RemoteMultiaddr()); err == nil {
			from = append(from, ip)
		}
	}
	return slices.DeleteFunc(h.directAddrs(p), func(a ma.Multiaddr) bool {
		ip, err := ipOf(a)
		return err != nil || !slices.Contains(from, ip)
	})
}

// isConnected says whether there is a connection to a peer, direct or through a relay.
func isConnected(n network.Network, p peer.ID) bool {
	c := n.Connectedness(p)
	return c == network.Connected || c == network.Limited
}

// throughRelays lets a dial or a stream use a connection through a relay.
func throughRelays(ctx context.Context) context.Context {
	return network.WithAllowLimitedConn(ctx, "a relayed connection does")
}
