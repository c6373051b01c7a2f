package p2p

import (
	"cmp"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Standing is how much a peer has at stake here. A newcomer of a higher standing takes
// the place of one of a lower standing, and never the other way round.
type Standing uint8

const (
	Stranger   Standing = iota // any peer: a peer ID costs nothing
	Registered                 // a node on the ledger, or an upload that the ledger shows to be paid
	Member                     // of the committee, the one before or the next
)

// places bounds how much is done at once: in all, for one peer, and for one network
// of addresses. A newcomer that finds no room takes the place of the guest that has
// been idle for longest, if that guest may be spared.
//
// Strangers and members are counted apart, so that strangers never fill what members need.
type places struct {
	most, each, net int
	members         int           // instead of most, for members
	patience        time.Duration // how long a guest may be idle before it can be spared
	level           bool          // a peer with many places is not spared sooner for that
	now             func() time.Time

	mu    sync.Mutex // guards the fields below, and the fields of guests
	all   map[*guest]struct{}
	of    map[peer.ID]int
	in    map[netip.Prefix]int
	count [2]int // strangers and registered; members
	taken int    // of both
	queue []*waiter
	tried time.Time // when the queue was last gone through
}

// guest holds one place.
type guest struct {
	places   *places
	peer     peer.ID
	net      netip.Prefix // invalid: not counted
	standing Standing

	// The fields below are guarded by places.mu.
	moved time.Time     // bytes and requests push it forward, never past now
	held  int           // works that hold the guest: it is not spared while there are any
	wait  time.Duration // instead of places.patience, if not 0
	gone  bool
	out   func() // ends what the guest does, when its place was given away
}

func newPlaces(most, each, net int, patience time.Duration) *places {
	return &places{most: most, each: each, net: net, members: most, patience: patience, now: time.Now,
		all: map[*guest]struct{}{}, of: map[peer.ID]int{}, in: map[netip.Prefix]int{}}
}

// visitor is a peer that asks for a place.
type visitor struct {
	peer     peer.ID
	net      netip.Prefix // invalid: not counted
	standing Standing
}

// class is the count a standing belongs to.
func class(s Standing) int {
	if s == Member {
		return 1
	}
	return 0
}

// greedyPart is the part of the patience that a peer with more places has.
const greedyPart = 8

// take gives v a place. out is called, on a goroutine of its own, if the place is given
// to a newcomer; it must end the guest's work. The guest is released by release.
func (p *places) take(v visitor, out func()) (*guest, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, _ := p.admit(v, out)
	return g, g != nil
}

// admit is take; full says that all places of v's class are taken by guests that may not
// be spared, so that no other visitor of the class finds room either. p.mu is held.
func (p *places) admit(v visitor, out func()) (g *guest, full bool) {
	g = &guest{places: p, peer: v.peer, net: v.net, standing: v.standing, out: out}
	now := p.now()
	// Every limit that the newcomer exceeds needs one guest to go; the same guest may
	// satisfy several. None goes before it is clear that all limits can be met.
	var leave []*guest
	left := func(match func(*guest) bool) (n int) {
		for _, x := range leave {
			if match(x) {
				n++
			}
		}
		return n
	}
	limits := []struct {
		taken, most int
		match       func(*guest) bool
	}{
		{p.of[v.peer], p.each, func(x *guest) bool { return x.peer == v.peer }},
		{p.in[v.net], p.net, func(x *guest) bool { return x.net == v.net && class(x.standing) == class(v.standing) }},
		{p.count[class(v.standing)], []int{p.most, p.members}[class(v.standing)], func(x *guest) bool { return class(x.standing) == class(v.standing) }},
	}
	for i, l := range limits {
		if i == 1 && (!v.net.IsValid() || v.standing == Member) {
			continue
		}
		if l.taken-left(l.match) < l.most {
			continue
		}
		x := p.spare(v, now, l.match)
		if x == nil {
			return nil, i == len(limits)-1
		}
		leave = append(leave, x)
	}
	for _, x := range leave {
		p.drop(x)
		go x.out()
	}
	g.moved = now
	p.all[g] = struct{}{}
	p.of[g.peer]++
	if g.net.IsValid() && g.standing != Member {
		p.in[g.net]++
	}
	p.count[class(g.standing)]++
	p.taken++
	return g, false
}

// spare is the guest among those that match whose place v may have: of the lowest
// standing, and of these the longest idle. Nil: there is none.
func (p *places) spare(v visitor, now time.Time, match func(*guest) bool) *guest {
	var best *guest
	for x := range p.all {
		if !match(x) || x.standing > v.standing {
			continue
		}
		lower := x.standing < v.standing
		still, patience := now.Sub(x.moved), cmp.Or(x.wait, p.patience)
		idle := x.held == 0 && still >= patience
		// A peer with more places than the newcomer will have is spared sooner. Yet not while
		// it moves on: or strangers with a place each would interrupt a client with several.
		greedy := !p.level && x.held == 0 && still >= patience/greedyPart && x.peer != v.peer && p.of[x.peer] > p.of[v.peer]+1
		if !lower && !greedy && !idle {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(x.standing, best.standing), x.moved.Compare(best.moved)) < 0 {
			best = x
		}
	}
	return best
}

// drop removes a guest from all counts; p.mu is held.
func (p *places) drop(g *guest) {
	if g.gone {
		return
	}
	g.gone = true
	delete(p.all, g)
	if p.of[g.peer]--; p.of[g.peer] == 0 {
		delete(p.of, g.peer)
	}
	if g.net.IsValid() && g.standing != Member {
		if p.in[g.net]--; p.in[g.net] == 0 {
			delete(p.in, g.net)
		}
	}
	p.count[class(g.standing)]--
	p.taken--
}

// release gives the place back; calling it again does nothing.
func (g *guest) release() {
	if g == nil {
		return
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	g.places.drop(g)
	g.places.grant()
}

// touch says that the guest has done something useful just now.
func (g *guest) touch() {
	if g == nil {
		return
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	g.moved = g.places.now()
}

// slowestPace is how many bytes a second keep a place: less counts as being idle.
const slowestPace = 16 << 10

// bytes counts bytes that moved: each buys 1/slowestPace of a second, so that a trickle
// does not look like work.
func (g *guest) bytes(n int) {
	if g == nil || n <= 0 {
		return
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	bought := time.Duration(math.Min(float64(n)/slowestPace, 3600) * float64(time.Second))
	if now := g.places.now(); g.moved.Add(bought).Before(now) {
		g.moved = g.moved.Add(bought)
	} else {
		g.moved = now
	}
}

// hold keeps the place while this side works for the guest; the returned function ends that.
func (g *guest) hold() (end func()) {
	if g == nil {
		return func() {}
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	g.held++
	return sync.OnceFunc(func() {
		g.places.mu.Lock()
		defer g.places.mu.Unlock()
		g.held--
		g.moved = g.places.now()
	})
}

// patient sets how long the guest may be idle from now on.
func (g *guest) patient(wait time.Duration) {
	if g == nil {
		return
	}
	g.places.mu.Lock()
	defer g.places.mu.Unlock()
	g.wait, g.moved = wait, g.places.now()
}

// networkOf is the network that an address is counted with: 24 bits of an IPv4 address
// and 56 of an IPv6 address, since the owner of one such address mostly has its
// neighbours too. A relayed connection counts with its relay's. Loopback has none unless it is
// counted.
func networkOf(m ma.Multiaddr, countLoopback bool) netip.Prefix {
	raw, err := manet.ToIP(m)
	ip, ok := netip.AddrFromSlice(raw)
	if ip = ip.Unmap(); err != nil || !ok || ip.IsLoopback() && !countLoopback {
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
