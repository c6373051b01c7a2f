package comet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"
)

const (
	// maxAddr bounds the address a peer says it listens on.
	maxAddr = 256
	// maxDialPause is the longest pause after dials to a peer that failed.
	maxDialPause = 10 * time.Second
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

// dialAlways keeps connections to all known peers.
func (c *Chain) dialAlways(ctx context.Context) {
	self := c.node.NodeInfo().ID()
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
		list := c.options.Peers()
		d.keep(list)
		for _, peer := range list {
			id := p2p.PubKeyToID(ed25519.PubKey(peer.Key[:]))
			if id == self || peer.Addr == "" || len(peer.Addr) > maxAddr || c.sw.Peers().Has(id) || !d.begin(peer, round < rounds) {
				continue
			}
			dials.Go(func() { d.end(peer, c.dial(ctx, id, peer.Addr)) })
		}
	}
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

func (d *dialer) end(p Peer, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.peers[p]
	if x.busy = false; err == nil {
		x.fails = 0
		return
	}
	x.fails++
	x.next = time.Now().Add(min(maxDialPause, time.Second<<min(x.fails, 8)))
}
