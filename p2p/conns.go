package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Connections that strangers open. What a connection costs is memory and a file.
const (
	maxConns     = 512
	maxPeerConns = 4
	maxNetConns  = 64
	connPatience = 2 * time.Second // for the first request, and between two of them
)

// conns is the connections that were opened to this host. The one on which nothing was
// asked for longest makes room for a newcomer: so connections that just stay
// shut no peer out.
type conns struct {
	places *places

	mu  sync.Mutex // guards all
	all map[network.Conn]*guest
}

func newConns() *conns {
	c := &conns{places: newPlaces(maxConns, maxPeerConns, maxNetConns, connPatience), all: map[network.Conn]*guest{}}
	c.places.members = maxMemberPulls
	return c
}

func (h *Host) connected(_ network.Network, c network.Conn) {
	if c.Stat().Direction != network.DirInbound {
		return
	}
	v := h.visitorOf(c)
	if v.standing != Member && h.admission.opens.spend(v.peer, 1) > hastyDebt {
		go c.Close()
		return
	}
	g, ok := h.admission.conns.places.take(v, func() { c.Close() })
	if !ok {
		go c.Close()
		return
	}
	h.admission.conns.mu.Lock()
	h.admission.conns.all[c] = g
	h.admission.conns.mu.Unlock()
	if c.IsClosed() { // it may have been closed before it was entered
		h.admission.conns.forget(c)
	}
}

func (c *conns) forget(conn network.Conn) {
	c.mu.Lock()
	g := c.all[conn]
	delete(c.all, conn)
	c.mu.Unlock()
	g.release()
}

// hold keeps a connection while something is done for it.
func (c *conns) hold(conn network.Conn) (end func()) {
	c.mu.Lock()
	g := c.all[conn]
	c.mu.Unlock()
	return g.hold()
}
