package p2p

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// dialFilter keeps dials to a peer to addresses that are proven, while these are tried. Any
// peer may tell the DHT any number of addresses of a peer; without this, a few dozen
// silent ones would use up the time and the places of every dial to it.
type dialFilter struct {
	mu    sync.Mutex // guards peers
	peers map[peer.ID]*provenAddrs
}

// provenAddrs is the addresses that a peer is tried at, and how many dials hold to them.
type provenAddrs struct {
	addrs map[string]bool
	dials int
}

var _ connmgr.ConnectionGater = (*dialFilter)(nil)

// hold keeps dials to p to addrs until release is called.
func (o *dialFilter) hold(p peer.ID, addrs []ma.Multiaddr) (release func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.peers == nil {
		o.peers = map[peer.ID]*provenAddrs{}
	}
	of := o.peers[p]
	if of == nil {
		of = &provenAddrs{addrs: map[string]bool{}}
		o.peers[p] = of
	}
	of.dials++
	for _, a := range addrs {
		of.addrs[string(a.Bytes())] = true
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if of.dials--; of.dials == 0 {
			delete(o.peers, p)
		}
	}
}

// InterceptAddrDial says whether an address may be dialed now.
func (o *dialFilter) InterceptAddrDial(p peer.ID, a ma.Multiaddr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	of := o.peers[p]
	return of == nil || of.addrs[string(a.Bytes())]
}

// InterceptPeerDial lets all pass.
func (*dialFilter) InterceptPeerDial(peer.ID) bool { return true }

// InterceptAccept lets all pass: conns decides which stay.
func (*dialFilter) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured lets all pass.
func (*dialFilter) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool {
	return true
}

// InterceptUpgraded lets all pass.
func (*dialFilter) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
