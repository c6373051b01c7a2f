package p2p

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p/p2ptest"
)

// neighbourhood is hosts in virtual time, at public addresses, and what runs on them.
type neighbourhood struct {
	t     *testing.T
	net   *p2ptest.Network
	ctx   context.Context
	runs  sync.WaitGroup
	mu    sync.Mutex       // guards nodes
	nodes map[peer.ID]bool // the nodes of the ledger
	first []string
}

// inNeighbourhood runs a test with some nodes that anybody reaches.
func inNeighbourhood(t *testing.T, public int, test func(t *testing.T, n *neighbourhood, public []*Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := &neighbourhood{t: t, net: p2ptest.NewNetwork(t, 10*time.Millisecond, 0), ctx: ctx, nodes: map[peer.ID]bool{}}
		var hosts []*Host
		for i := range public {
			h := n.open(byte(i+1), n.net.PublicPlace(), true)
			n.register(h.ID(), true)
			n.first = append(n.first, h.Addrs()...)
			hosts = append(hosts, h)
		}
		for _, h := range hosts {
			n.run(h)
		}
		defer n.runs.Wait()
		defer cancel()
		test(t, n, hosts)
	})
}

// register enters a node on the ledger, or removes it.
func (n *neighbourhood) register(p peer.ID, is bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[p] = is
}

// open opens a host at a place; a node listens.
func (n *neighbourhood) open(id byte, at p2ptest.Place, node bool) *Host {
	n.t.Helper()
	c := Config{Key: key(int(id)), Bootstrap: n.first, Wire: at.Wire, Hello: Hello{Chain: "net"}}
	if node {
		c.Listen, c.Reachable, c.Hello.Ledger = []string{at.Listen}, true, at.IP.String()+":1"
	}
	h, err := New(c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { h.Close() })
	h.SetStanding(func(p peer.ID) Standing {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.nodes[p] {
			return Registered
		}
		return Stranger
	})
	h.ServeDialback()
	return h
}

func (n *neighbourhood) run(h *Host) {
	n.runs.Go(func() { h.Run(n.ctx) })
	n.runs.Go(func() { h.KeepReachable(n.ctx, func() []string { return nil }) })
}

// until waits, in virtual time, until something holds.
func (n *neighbourhood) until(what string, holds func() bool) {
	n.t.Helper()
	for range 600 {
		if holds() {
			return
		}
		time.Sleep(100 * time.Millisecond) // virtual time
	}
	n.t.Fatalf("a minute later it does not hold: %s", what)
}

// A node behind a router finds out, reserves with nodes of the ledger, and is reached by a
// client through any of its relays. What is said of it holds for one that asks anew.
func TestAHostBehindARouterIsReachedThroughRelays(t *testing.T) {
	inNeighbourhood(t, 4, func(t *testing.T, n *neighbourhood, public []*Host) {
		n.until("public nodes know that they are reached", func() bool {
			return !slices.ContainsFunc(public, func(h *Host) bool { return h.Reachability() != ReachDirect })
		})
		home := n.open(9, n.net.Walled(), true)
		n.register(home.ID(), true)
		bulk := strings.Repeat("much more than libp2p lets a relay carry", 25_000)
		home.ServeFragments(&shelf{held: map[blob.Position][]byte{{Place: 3}: []byte(bulk)}})
		n.run(home)
		relays := func() (out []string) {
			return slices.DeleteFunc(Dialable(home.Addrs()), func(a string) bool { return !Relayed(a) })
		}
		n.until("three relays serve the node behind the router", func() bool { return len(relays()) >= wantRelays })
		if got := home.Reachability(); got != ReachRelayed {
			t.Errorf("it says that it is reached: %q", got)
		}
		for _, a := range home.Addrs() {
			if !Relayed(a) {
				t.Errorf("it announces %s, where nobody reaches it", a)
			}
		}
		for i, a := range relays() {
			client := n.open(byte(20+i), n.net.Walled(), false)
			line, err := client.FragmentLine(within(t), home.ID(), []string{a}, new(atomic.Int64))
			if err == nil {
				err = line.Pieces(within(t), blob.ID{}, blob.Row, []blob.Place{3}, 0, 1, len(bulk), func(p Piece) error {
					if string(p.Data) != bulk {
						t.Errorf("through %s come %d bytes", a, len(p.Data))
					}
					return nil
				})
				line.End()
			}
			if err != nil {
				t.Errorf("through %s: %v", a, err)
			}
		}
		got, err := home.AskDialback(within(t), public[0].ID(), relays())
		if err != nil {
			t.Fatal(err)
		}
		for i, seen := range got.Seen {
			if seen.Reach != Reached {
				t.Errorf("a node says of %s: %v %s", relays()[i], seen.Reach, seen.Text)
			}
		}
	})
}

// A node behind a router and one that is not, or two behind routers, have a connection of
// their own soon: the relay carries their first words only.
func TestHostsBehindRoutersGetADirectConnection(t *testing.T) {
	inNeighbourhood(t, 4, func(t *testing.T, n *neighbourhood, _ []*Host) {
		home, away := n.open(9, n.net.Walled(), true), n.open(10, n.net.Walled(), true)
		n.run(home)
		n.run(away)
		n.until("both have relays", func() bool {
			return home.Reachability() == ReachRelayed && away.Reachability() == ReachRelayed
		})
		if err := away.Connect(within(t), home.ID(), home.Addrs()); err != nil {
			t.Fatal(err)
		}
		n.until("the two have a direct connection", func() bool {
			return away.libp2p.Network().Connectedness(home.ID()) == network.Connected
		})
	})
}

// When a relay stops, the node behind a router takes another one.
func TestARelayThatStopsIsReplaced(t *testing.T) {
	inNeighbourhood(t, 5, func(t *testing.T, n *neighbourhood, public []*Host) {
		home := n.open(9, n.net.Walled(), true)
		n.run(home)
		relays := func() (out []peer.ID) {
			for _, a := range home.Addrs() {
				if relay, ok := relayOf(ma.StringCast(a)); ok && !slices.Contains(out, relay.ID) {
					out = append(out, relay.ID)
				}
			}
			return out
		}
		n.until("it has its relays", func() bool { return len(relays()) == wantRelays })
		gone := relays()[0]
		for _, h := range public {
			if h.ID() == gone {
				h.Close()
			}
		}
		n.until("it has others", func() bool { return len(relays()) == wantRelays && !slices.Contains(relays(), gone) })
	})
}

func TestPeersThatAreNotOnTheLedgerHaveFewPlacesAtARelay(t *testing.T) {
	now := time.Unix(1, 0)
	g := &relayGuests{now: func() time.Time { return now }, standing: func(p peer.ID) Standing {
		if p == "node" {
			return Registered
		}
		return Stranger
	}}
	from := func(i int) ma.Multiaddr {
		return ma.StringCast(fmt.Sprintf("/ip4/45.1.%d.7/tcp/1", i))
	}
	for i := range maxNetStrangers {
		if !g.AllowReserve(peer.ID(rune(i)), from(1)) {
			t.Fatalf("stranger %d finds no place", i)
		}
	}
	if g.AllowReserve("one more", from(1)) {
		t.Error("one network of addresses takes more than its part")
	}
	if !g.AllowReserve(peer.ID(rune(0)), from(1)) {
		t.Error("a reservation cannot be refreshed")
	}
	for i := range maxStrangers - maxNetStrangers {
		if !g.AllowReserve(peer.ID(rune(100+i)), from(10+i)) {
			t.Fatalf("stranger %d from elsewhere finds no place", i)
		}
	}
	if g.AllowReserve("from yet elsewhere", from(90)) {
		t.Error("strangers take places without end")
	}
	if !g.AllowReserve("node", from(1)) {
		t.Error("strangers keep a node of the ledger out")
	}
	now = now.Add(reservationTTL)
	if !g.AllowReserve("from yet elsewhere", from(90)) || len(g.strangers) != 1 {
		t.Errorf("%d strangers' places are kept after their end", len(g.strangers))
	}
}

// A relay is no open proxy: to a node of the ledger any peer comes, to a peer that may become
// one nodes do, which find out whether it is reached, and few others.
func TestFewStrangersMeetAtARelay(t *testing.T) {
	now := time.Unix(1, 0)
	g := &relayGuests{now: func() time.Time { return now }, standing: func(p peer.ID) Standing {
		if strings.HasPrefix(string(p), "node") {
			return Registered
		}
		return Stranger
	}, near: func(ip netip.Addr) bool { return ip == netip.MustParseAddr("45.1.1.1") }}
	for _, x := range []struct {
		from, at, to peer.ID
		want         bool
	}{
		{"client", "45.9.9.9", "node", true},
		{"node", "45.9.9.9", "newcomer", true},
		{"a node's dial-back", "45.1.1.1", "newcomer", true},
		{"stranger", "45.9.9.9", "stranger too", false},
	} {
		for range maxMeetings {
			g.AllowConnect("early", ma.StringCast("/ip4/45.9.9.9/tcp/1"), "newcomer")
		}
		if got := g.AllowConnect(x.from, ma.StringCast("/ip4/"+string(x.at)+"/tcp/1"), x.to); got != x.want {
			t.Errorf("%s from %s to %s: %v", x.from, x.at, x.to, got)
		}
	}
	inNeighbourhood(t, 4, func(t *testing.T, n *neighbourhood, public []*Host) {
		home := n.open(9, n.net.Walled(), true) // not on the ledger
		n.run(home)
		n.until("it has relays", func() bool { return home.Reachability() == ReachRelayed })
		// It is found out that it is reached, so that it can register.
		relays := slices.DeleteFunc(Dialable(home.Addrs()), func(a string) bool { return !Relayed(a) })
		for _, h := range public {
			got, err := home.AskDialback(within(t), h.ID(), relays)
			if err != nil {
				t.Fatal(err)
			}
			for i, seen := range got.Seen {
				if seen.Reach != Reached {
					t.Errorf("a node says of %s: %v %s", relays[i], seen.Reach, seen.Text)
				}
			}
		}
	})
	now = now.Add(time.Hour)
	if !g.AllowConnect("early", ma.StringCast("/ip4/45.9.9.9/tcp/1"), "newcomer") {
		t.Error("a client of a node that was just entered is refused an hour later")
	}
}

// A peer that came through a relay does not make a host knock at many doors, nor in its own
// local network.
func TestAPunchDialsFewPublicAddresses(t *testing.T) {
	addrs := []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.1/tcp/80"), ma.StringCast("/ip4/127.0.0.1/tcp/22")}
	for i := range 50 {
		addrs = append(addrs, ma.StringCast(fmt.Sprintf("/ip4/45.1.1.%d/tcp/1", i)))
	}
	got := punchFilter{}.FilterRemote("peer", addrs)
	if len(got) != maxPunched || got[0].String() != "/ip4/45.1.1.0/tcp/1" {
		t.Errorf("%v are dialed", got)
	}
}

// Peers that call themselves nodes, and are neither on the ledger nor in the bootstrap list,
// have no say in whether a host is reached.
func TestStrangersDoNotTellWhetherAHostIsReached(t *testing.T) {
	inNeighbourhood(t, 2, func(t *testing.T, n *neighbourhood, public []*Host) {
		n.register(public[1].ID(), false) // of the bootstrap list alone
		host := n.open(9, n.net.PublicPlace(), true)
		for i := range 5 {
			stranger := n.open(byte(20+i), n.net.PublicPlace(), true)
			if err := stranger.Connect(within(t), host.ID(), host.Addrs()); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range public {
			if err := h.Connect(within(t), host.ID(), host.Addrs()); err != nil {
				t.Fatal(err)
			}
		}
		if len(host.Nodes()) < 7 {
			t.Fatalf("%d nodes", len(host.Nodes()))
		}
		if got := host.witnesses(); len(got) != 2 || got[0] != public[0].ID() || got[1] != public[1].ID() {
			t.Errorf("the word of %v counts", got)
		}
	})
}

func TestOnePeerAloneDoesNotTellWhetherAHostIsReached(t *testing.T) {
	const a, b = "/ip4/45.1.1.1/tcp/1", "/ip4/45.1.1.1/udp/1/quic-v1"
	yes, no, untried := AddressReport{Reach: Reached}, AddressReport{Reach: NotReached}, AddressReport{Reach: NotDialable}
	for name, x := range map[string]struct {
		answers [][]AddressReport
		want    Reachability
		failed  int
	}{
		"no peer answers":        {nil, ReachUnknown, 0},
		"all reach both":         {[][]AddressReport{{yes, yes}, {yes, yes}, {yes, yes}}, ReachDirect, 0},
		"all reach one":          {[][]AddressReport{{yes, no}, {yes, no}}, ReachDirect, 1},
		"one of three says yes":  {[][]AddressReport{{yes, yes}, {no, no}, {no, no}}, ReachNone, 2},
		"one of three says no":   {[][]AddressReport{{no, no}, {yes, yes}, {yes, yes}}, ReachDirect, 0},
		"one each":               {[][]AddressReport{{no, yes}, {yes, no}}, ReachNone, 0},
		"no peer may dial":       {[][]AddressReport{{untried, untried}}, ReachNone, 0},
		"another family is used": {[][]AddressReport{{yes, untried}, {untried, untried}}, ReachDirect, 0},
	} {
		if is, failed := judgeReach([]string{a, b}, x.answers); is != x.want || len(failed) != x.failed {
			t.Errorf("%s: %q with %d failed, want %q with %d", name, is, len(failed), x.want, x.failed)
		}
	}
	if is, _ := judgeReach(nil, [][]AddressReport{{}}); is != ReachNone {
		t.Errorf("a host without an address that others can dial: %q", is)
	}
}
