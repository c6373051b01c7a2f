package p2p

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/walrus-network/walrus/canon"
)

func TestAPeerDialsBackWhereItIsAskedFrom(t *testing.T) {
	server, asker, other := newHost(t, 1, "net"), newHost(t, 2, "net"), newHost(t, 3, "net")
	server.ServeDialback()
	connect(t, asker, server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().(*net.TCPAddr)
	l.Close()
	bare := func(h *Host) string { a, _, _ := strings.Cut(h.Addrs()[0], "/p2p/"); return a }
	ask := []string{
		asker.Addrs()[0], // with its name
		bare(asker),
		"/ip4/127.0.0.1/tcp/" + strconv.Itoa(nobody.Port),
		bare(other),      // another key answers there
		other.Addrs()[0], // it says so itself
		"/ip4/203.0.113.7/tcp/4001",
		"/dns4/localhost/tcp/4001",
		"nowhere",
	}
	got, err := asker.AskDialback(within(t), server.ID(), ask)
	if err != nil {
		t.Fatal(err)
	}
	want := []Reach{Reached, Reached, NotReached, NotReached, NotDialable, NotDialable, NotDialable, NotDialable}
	for i, seen := range got.Seen {
		if seen.Reach != want[i] || (seen.Reach == Reached) != (seen.Text == "") {
			t.Errorf("%s: %+v", ask[i], seen)
		}
	}
	if got.Clock.Abs() > time.Minute {
		t.Errorf("on one machine the clock is %s off", got.Clock)
	}
	until(t, "the server keeps one connection to the asker", func() bool { return len(server.libp2p.Network().ConnsToPeer(asker.ID())) == 1 })
}

func TestOnlyTheAskersOwnAddressIsDialed(t *testing.T) {
	p, other := newHost(t, 1, "net").ID(), newHost(t, 2, "net").ID()
	from, relay := netip.MustParseAddr("203.0.113.7"), newHost(t, 3, "net").ID()
	known := ma.StringCast("/ip4/203.0.113.9/tcp/1")
	d := &dialbacks{relay: func(p peer.ID) []ma.Multiaddr {
		if p == relay {
			return []ma.Multiaddr{known}
		}
		return nil
	}}
	for text, ok := range map[string]bool{
		"/ip4/203.0.113.7/tcp/4001":                                                              true,
		"/ip4/203.0.113.7/udp/4001/quic-v1":                                                      true,
		"/ip6/::ffff:203.0.113.7/tcp/4001":                                                       true, // the same address
		"/ip4/203.0.113.7/tcp/4001/p2p/" + p.String():                                            true,
		"/ip4/203.0.113.7/tcp/4001/p2p/" + other.String():                                        false,
		"/ip4/203.0.113.8/tcp/4001":                                                              false,
		"/ip4/127.0.0.1/tcp/4001":                                                                false,
		"/ip4/203.0.113.7/udp/4001":                                                              false,
		"/ip4/203.0.113.7/tcp/80/ws":                                                             false,
		"/dns4/example.org/tcp/4001":                                                             false,
		"/ip4/203.0.113.8/tcp/4001/p2p/" + relay.String() + "/p2p-circuit":                       true, // where the relay is known to be
		"/ip4/203.0.113.7/tcp/4001/p2p/" + relay.String() + "/p2p-circuit/p2p/" + p.String():     true,
		"/ip4/203.0.113.7/tcp/4001/p2p/" + relay.String() + "/p2p-circuit/p2p/" + other.String(): false,
		"/ip4/203.0.113.7/tcp/4001/p2p/" + other.String() + "/p2p-circuit":                       false,
		"/ip4/203.0.113.7/tcp/4001/p2p-circuit":                                                  false,
		"/p2p-circuit":                                                                           false,
		"/unix/etc":                                                                              false,
		"":                                                                                       false,
	} {
		targets, err := d.dialTargets(p, from, text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		for _, a := range targets {
			if relayed(a) && !strings.HasPrefix(a.String(), known.String()) {
				t.Errorf("%q: %s is dialed", text, a)
			}
		}
	}
}

func TestQuestionsToDialBackAreBounded(t *testing.T) {
	now := time.Unix(1, 0)
	d := &dialbacks{now: func() time.Time { return now }, slots: newSlots(maxDialbacks, 1)}
	one := netip.MustParseAddr("2001:db8::1")
	for i := range maxDialbackOfOne {
		if !d.admit(one) {
			t.Fatalf("question %d was refused", i)
		}
	}
	if d.admit(one) || d.admit(netip.MustParseAddr("2001:db8::2")) {
		t.Error("one place asks without end")
	}
	for i := range byte(maxDialbackSpan - maxDialbackOfOne) {
		if !d.admit(netip.AddrFrom4([4]byte{203, 0, 113, i})) {
			t.Fatalf("place %d was refused", i)
		}
	}
	if d.admit(netip.MustParseAddr("198.51.100.1")) {
		t.Error("many places ask without end")
	}
	now = now.Add(dialbackSpan)
	if !d.admit(one) || len(d.recent) != 1 {
		t.Error("a minute later it may ask again")
	}
}

func TestAFloodOfQuestionsToDialBackIsRefused(t *testing.T) {
	server, asker := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.ServeDialback()
	connect(t, asker, server)
	for range maxDialbackOfOne {
		if _, err := asker.AskDialback(within(t), server.ID(), nil); err != nil && !IsRefusal(err, CodeBusy) {
			t.Fatal(err)
		}
	}
	var err error
	for range maxDialbackOfOne { // some were refused for coming at once, and are not counted
		if _, err = asker.AskDialback(within(t), server.ID(), nil); err != nil {
			break
		}
	}
	if !IsRefusal(err, CodeBusy) {
		t.Errorf("a question too many: %v", err)
	}
	fresh := newHost(t, 3, "net")
	fresh.ServeDialback()
	connect(t, asker, fresh)
	if _, err := asker.AskDialback(within(t), fresh.ID(), make([]string, MaxDialback+1)); !IsRefusal(err, CodeBadRequest) {
		t.Errorf("too many addresses: %v", err)
	}
	if _, err := asker.AskDialback(within(t), fresh.ID(), []string{strings.Repeat("a", maxDialAddress+1)}); err == nil {
		t.Error("an endless address was taken")
	}
}

func TestAnAnswerToAnotherQuestionIsRefused(t *testing.T) {
	for what, a := range map[string]dialMeAnswer{"too few": {}, "no such kind": {Seen: []AddressReport{{Reach: 9}}}, "none": {Seen: []AddressReport{{}}}} {
		server, asker := newHost(t, 1, "net"), newHost(t, 2, "net")
		server.serve(DialbackProtocol, func(_ context.Context, s *session) error {
			if _, _, err := s.receive(idleLimit); err != nil {
				return err
			}
			if err := s.send(kindDialed, a); err != nil {
				return err
			}
			return s.flush()
		})
		connect(t, asker, server)
		if _, err := asker.AskDialback(within(t), server.ID(), []string{loopback}); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzDialMe(f *testing.F) {
	f.Add(byte(kindDialMe), canon.Encode(dialMe{Addresses: []string{loopback}}))
	f.Add(byte(kindDialMe), []byte{0x81, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // a list that claims to be endless
	f.Add(byte(0), []byte{})
	d := &dialbacks{relay: func(peer.ID) []ma.Multiaddr { return []ma.Multiaddr{ma.StringCast("/ip4/203.0.113.9/tcp/1")} }}
	f.Fuzz(func(t *testing.T, what byte, body []byte) {
		q, err := readDialMe(kind(what), body)
		if err != nil {
			return
		}
		if len(q.Addresses) > MaxDialback {
			t.Errorf("took %d addresses", len(q.Addresses))
		}
		if !bytes.Equal(canon.Encode(q), body) {
			t.Error("two strings of bytes for one question")
		}
		from := netip.MustParseAddr("203.0.113.7")
		for _, a := range q.Addresses {
			targets, err := d.dialTargets(peer.ID("x"), from, a)
			if err == nil && len(targets) == 0 {
				t.Errorf("%q is taken, and nothing is dialed", a)
			}
			for _, m := range targets {
				if ip, err := manet.ToIP(m); err != nil || !ip.Equal(from.AsSlice()) && !relayed(m) {
					t.Errorf("%q is dialed", m)
				}
			}
		}
	})
}

func FuzzDialed(f *testing.F) {
	f.Add(canon.Encode(dialMeAnswer{TimeMs: 5, Seen: []AddressReport{{Reach: Reached}, {Reach: NotReached, Text: "no"}}}), 2)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		var d dialMeAnswer
		if canon.Decode(body, &d) != nil {
			return
		}
		if !bytes.Equal(canon.Encode(d), body) {
			t.Error("two strings of bytes for one answer")
		}
		if d.check(n) == nil && len(d.Seen) != n {
			t.Errorf("%d answers for %d addresses", len(d.Seen), n)
		}
	})
}

// The bytes that doc/formats.md shows.
func TestAQuestionToDialBackIsOneStringOfBytes(t *testing.T) {
	got := hex.EncodeToString(canon.Encode(dialMe{Addresses: []string{"/ip4/127.0.0.1/tcp/1"}}))
	if want := "8181742f6970342f3132372e302e302e312f7463702f31"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	got = hex.EncodeToString(canon.Encode(dialMeAnswer{TimeMs: 1000, Seen: []AddressReport{{Reach: Reached}, {Reach: NotDialable, Text: "no"}}}))
	if want := "821903e8828201608203626e6f"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
