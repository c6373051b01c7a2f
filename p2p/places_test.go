package p2p

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// hall is places under a clock of the test's.
type hall struct {
	*places
	t    *testing.T
	time time.Time
	went chan peer.ID
}

func newHall(t *testing.T, most, each, net int) *hall {
	h := &hall{places: newPlaces(most, each, net, time.Second), t: t, time: time.Unix(1000, 0), went: make(chan peer.ID, 1000)}
	h.now = func() time.Time { return h.time }
	return h
}

func (h *hall) enter(v visitor) *guest {
	g, _ := h.take(v, func() { h.went <- v.peer })
	return g
}

// leaves checks which guests were sent away: exactly these.
func (h *hall) leaves(want ...peer.ID) {
	h.t.Helper()
	for _, w := range want {
		select {
		case got := <-h.went:
			if got != w {
				h.t.Errorf("%s went, want %s", got, w)
			}
		case <-time.After(limitOfTests):
			h.t.Errorf("%s did not go", w)
		}
	}
	if len(h.went) > 0 {
		h.t.Errorf("%s went too", <-h.went)
	}
}

func TestTheLongestIdleMakesRoom(t *testing.T) {
	h := newHall(t, 3, 2, 9)
	a, b, c := h.enter(visitor{peer: "a"}), h.enter(visitor{peer: "b"}), h.enter(visitor{peer: "c"})
	if h.enter(visitor{peer: "early"}) != nil {
		t.Error("a guest was sent away at once")
	}
	h.time = h.time.Add(2 * time.Second)
	a.touch()
	end := b.hold() // it works
	h.time = h.time.Add(time.Millisecond)
	if h.enter(visitor{peer: "d"}) == nil {
		t.Fatal("nobody made room")
	}
	h.leaves("c")
	h.time = h.time.Add(time.Minute)
	if h.enter(visitor{peer: "e"}) == nil {
		t.Fatal("nobody made room")
	}
	h.leaves("a")
	end()
	c.release() // it is gone already: that gives back nothing
	if h.taken != 3 {
		t.Errorf("%d places are taken", h.taken)
	}
}

// A trickle of bytes is no work.
func TestATrickleDoesNotKeepAPlace(t *testing.T) {
	h := newHall(t, 1, 1, 9)
	g := h.enter(visitor{peer: "slow"})
	for range 20 {
		h.time = h.time.Add(100 * time.Millisecond)
		g.bytes(10)
	}
	if h.enter(visitor{peer: "quick"}) == nil {
		t.Fatal("100 bytes a second keep a place")
	}
	h.leaves("slow")
	h = newHall(t, 1, 1, 9)
	g = h.enter(visitor{peer: "working"})
	for range 20 {
		h.time = h.time.Add(100 * time.Millisecond)
		g.bytes(slowestPace / 10)
	}
	if h.enter(visitor{peer: "other"}) != nil {
		t.Error("a guest that works was sent away")
	}
}

func TestStrangersNeverTakeMembersPlaces(t *testing.T) {
	h := newHall(t, 4, 4, 9)
	m := h.enter(visitor{peer: "m", standing: Member})
	for i := range 100 {
		h.time = h.time.Add(10 * time.Second)
		h.enter(visitor{peer: peer.ID(fmt.Sprint(i))})
	}
	if m.gone {
		t.Error("a member was sent away")
	}
	for range 3 {
		if h.enter(visitor{peer: "m", standing: Member}) == nil {
			t.Error("a member finds no place")
		}
	}
}

// What is paid takes the place of what is not, even while that makes progress.
func TestThePaidTakeThePlacesOfTheUnpaid(t *testing.T) {
	h := newHall(t, 2, 2, 9)
	h.enter(visitor{peer: "a"})
	h.enter(visitor{peer: "b"})
	paid := h.enter(visitor{peer: "c", standing: Registered})
	if paid == nil {
		t.Fatal("the paid one finds no place")
	}
	h.time = h.time.Add(time.Hour)
	h.enter(visitor{peer: "d"})
	h.enter(visitor{peer: "e"})
	if paid.gone {
		t.Error("an unpaid one took the place of a paid one")
	}
}

func TestOnePeerAndOneNetworkHaveTheirPartOnly(t *testing.T) {
	h := newHall(t, 100, 2, 5)
	for range 9 {
		h.enter(visitor{peer: "greedy"})
	}
	if h.of["greedy"] != 2 {
		t.Errorf("one peer has %d places", h.of["greedy"])
	}
	near := netip.MustParsePrefix("192.0.2.0/24")
	for i := range 50 {
		h.enter(visitor{peer: peer.ID(fmt.Sprint(i)), net: near})
	}
	if h.in[near] != 5 {
		t.Errorf("one network has %d places", h.in[near])
	}
	if h.enter(visitor{peer: "far", net: netip.MustParsePrefix("198.51.100.0/24")}) == nil {
		t.Error("another network has none")
	}
	h.time = h.time.Add(time.Minute) // within its part a network makes room for its own
	if h.enter(visitor{peer: "neighbour", net: near}) == nil || h.in[near] != 5 {
		t.Errorf("a neighbour of idle ones finds no place, %d", h.in[near])
	}
	for g := range h.all {
		g.patient(time.Hour)
	}
	for len(h.all) > 0 {
		for g := range h.all {
			g.release()
			g.release()
			break
		}
	}
	if h.taken != 0 || h.count != [2]int{} || len(h.of) != 0 || len(h.in) != 0 {
		t.Errorf("after all have gone: %d %v %v %v", h.taken, h.count, h.of, h.in)
	}
}

func TestAddressesCountWithTheirNeighbours(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/192.0.2.77/tcp/1":                "192.0.2.0/24",
		"/ip6/2001:db8:1:2ff::1/udp/1/quic-v1": "2001:db8:1:200::/56",
		"/ip6/::ffff:192.0.2.77/tcp/1":         "192.0.2.0/24",
		"/ip4/127.0.0.9/tcp/1":                 "",
		"/ip4/192.0.2.1/tcp/1/p2p-circuit":     "192.0.2.0/24",
		"/dns4/example.org/tcp/1":              "",
	} {
		m, err := ma.NewMultiaddr(addr)
		if err != nil {
			t.Fatal(addr, err)
		}
		got := networkOf(m, false)
		if want == "" && got.IsValid() || want != "" && got != netip.MustParsePrefix(want) {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	m, _ := ma.NewMultiaddr("/ip4/127.0.7.9/tcp/1")
	if got := networkOf(m, true); got != netip.MustParsePrefix("127.0.7.0/24") {
		t.Errorf("loopback that is counted: %s", got)
	}
}

// Transactions that wait are bounded, and the peer with most of them gives way.
func TestWaitingTransactionsAreBounded(t *testing.T) {
	s := newSubmits()
	cancelled := make(chan error, 100_000)
	const body = 256 << 10
	for i := range 200 {
		for range 100 {
			s.take(peer.ID(fmt.Sprint(i)), body, func(err error) { cancelled <- err })
		}
	}
	if s.held > maxSubmitBytes {
		t.Errorf("%d bytes wait", s.held)
	}
	leave, err := s.take("honest", 300, func(error) { t.Error("the honest one gave way") })
	if err != nil {
		t.Fatalf("an honest transaction finds no room: %v", err)
	}
	if !IsRefusal(<-cancelled, CodeBusy) {
		t.Error("cancelled without words")
	}
	leave()
	leave()
	for range 2 * maxPeerSubmits {
		s.take("many", 1, func(error) {})
	}
	if n := len(s.of["many"].list); n > maxPeerSubmits {
		t.Errorf("%d of one peer wait", n)
	}
	sum, count := 0, 0
	for _, o := range s.of {
		sum += o.bytes
		count += len(o.list)
	}
	if sum != s.held || count != s.has {
		t.Errorf("%d bytes of %d, counted %d of %d", sum, count, s.held, s.has)
	}
}
