package comet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/staking"
)

const (
	// maxAddr bounds the address a peer says it listens on.
	maxAddr = 256
	// maxDialPause is the longest pause after dials to a peer that failed.
	maxDialPause = 10 * time.Second
	// maxMemberPause is the same for a member: after a line was cut, the ledger waits for it.
	maxMemberPause = time.Second
	// nameLimit bounds the lookup of a name.
	nameLimit = 5 * time.Second
)

// names looks up the names of addresses that the ledger or an operator gives. It is kept
// before ForbidNames takes the default away.
var names = net.DefaultResolver

var errNoNames = errors.New("names of strangers are not looked up")

// ForbidNames makes everything in the process that looks up a name through Go's default
// resolver fail, but for what the hosts file has. CometBFT looks up whatever address a
// peer states as its own, in the routine that lets peers in: one stranger with a slow
// name server would keep all others out. Call it before anything runs.
func ForbidNames() {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errNoNames }}
}

// dialAlways keeps connections to the peers that the circle wants, and to those that are no
// members and that the caller names.
func (c *Chain) dialAlways(ctx context.Context) {
	self := c.node.NodeInfo().ID()
	circle := newCircle(c.app.self, time.Duration(c.options.Genesis.Params.BlockMs)*time.Millisecond, time.Now())
	lines := newSilence(time.Duration(c.options.Genesis.Params.BlockMs) * time.Millisecond)
	var left time.Time // when a connection was given up last
	var dials sync.WaitGroup
	defer dials.Wait()
	d := dialer{peers: map[Peer]*dialState{}}
	// A network that starts together finds itself in moments; later there is time.
	const rounds, quick, calm = 100, 50 * time.Millisecond, time.Second
	for round := 0; ; round++ {
		if pause := calm; round > 0 {
			if round < rounds {
				pause = quick
			}
			if !sleep(ctx, pause) {
				return
			}
		}
		c.endSilent(lines)
		g, _ := c.peers.connects()
		list := c.wanted(circle, c.options.Peers())
		if c.AtTip() && time.Since(left) >= leaveEvery && c.leave(list) {
			left = time.Now()
		}
		d.keep(list)
		for _, peer := range list {
			id := p2p.PubKeyToID(ed25519.PubKey(peer.Key[:]))
			if id == self || peer.Addr == "" || len(peer.Addr) > maxAddr || c.sw.Peers().Has(id) || !d.begin(peer, round < rounds) {
				continue
			}
			longest := maxDialPause
			if g.has(staking.NodeID(peer.Key)) {
				longest = maxMemberPause
			}
			dials.Go(func() { d.end(peer, longest, c.dial(ctx, id, peer.Addr)) })
		}
	}
}

// wanted is those of some peers that this node should be connected to.
func (c *Chain) wanted(circle *circle, list []Peer) (out []Peer) {
	g, age := c.peers.connects()
	s := standing{now: time.Now(), height: int64(c.machine.Height()), age: age, atTip: c.AtTip()}
	connected := map[staking.NodeID]report{}
	for _, id := range g.members {
		if p := c.sw.Peers().Get(p2p.PubKeyToID(ed25519.PubKey(id[:]))); p != nil {
			if state, ok := p.Get(types.PeerStateKey).(*consensus.PeerState); ok {
				connected[id] = report{height: state.GetHeight(), sent: state.VotesSent() + state.BlockPartsSent()}
			}
		}
	}
	neighbours := map[staking.NodeID]bool{}
	for _, id := range circle.wanted(g, s, connected) {
		neighbours[id] = true
	}
	for _, p := range list {
		if id := staking.NodeID(p.Key); neighbours[id] || !g.has(id) {
			out = append(out, p)
		}
	}
	return out
}

// leave ends a connection that this node opened to a peer that is not wanted any more, if
// there is one. What other nodes opened is theirs to end.
func (c *Chain) leave(wanted []Peer) bool {
	keep := map[p2p.ID]bool{}
	for _, p := range wanted {
		keep[p2p.PubKeyToID(ed25519.PubKey(p.Key[:]))] = true
	}
	var unwanted p2p.Peer
	c.sw.Peers().ForEach(func(p p2p.Peer) {
		if p.IsOutbound() && !keep[p.ID()] {
			unwanted = p
		}
	})
	if unwanted != nil {
		c.sw.StopPeerGracefully(unwanted)
	}
	return unwanted != nil
}

// dial connects to a peer at host:port. What fails, another round tries again.
func (c *Chain) dial(ctx context.Context, id p2p.ID, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	found, err := names.LookupNetIP(ctx, "ip", host) // an IP address is found at once
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("%s has no address", host)
	}
	at, err := p2p.NewNetAddressString(p2p.IDAddressString(id, net.JoinHostPort(found[0].Unmap().String(), port)))
	if err != nil {
		return err
	}
	if c.sw.IsDialingOrExistingAddress(at) {
		return nil
	}
	c.peers.dials(at)
	return c.sw.DialPeerWithAddress(at)
}

// dialer knows which peers are being dialed, and which failed.
type dialer struct {
	mu    sync.Mutex // guards peers
	peers map[Peer]*dialState
}

type dialState struct {
	busy  bool
	fails int
	next  time.Time
}

// keep forgets peers that are not to be dialed any more.
func (d *dialer) keep(list []Peer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := make(map[Peer]bool, len(list))
	for _, p := range list {
		wanted[p] = true
	}
	for p, x := range d.peers {
		if !wanted[p] && !x.busy {
			delete(d.peers, p)
		}
	}
}

// begin says whether a peer is to be dialed now. One that failed is left alone for
// longer each time, but for a network that starts: hurry.
func (d *dialer) begin(p Peer, hurry bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.peers[p]
	if x == nil {
		x = &dialState{}
		d.peers[p] = x
	}
	if x.busy || !hurry && time.Now().Before(x.next) {
		return false
	}
	x.busy = true
	return true
}

func (d *dialer) end(p Peer, longest time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.peers[p]
	if x.busy = false; err == nil {
		x.fails = 0
		return
	}
	x.fails++
	x.next = time.Now().Add(min(longest, time.Second<<min(x.fails, 8)))
}
