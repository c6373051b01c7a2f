package p2p

import (
	"slices"
	"testing"
)

func TestAddressesThatOnlySayEverywhereAreNotGivenToOthers(t *testing.T) {
	everywhere, local, open := "/ip4/0.0.0.0/tcp/4001", "/ip4/127.0.0.1/tcp/4001", "/ip4/203.0.113.7/tcp/4001"
	for _, c := range []struct{ in, want []string }{
		{[]string{everywhere}, nil},
		{[]string{everywhere, local}, []string{local}},
		{[]string{everywhere, local, open, "garbage"}, []string{open}},
		{[]string{local, "/ip4/192.168.1.5/tcp/4001"}, []string{"/ip4/192.168.1.5/tcp/4001"}},
		{[]string{"/ip4/10.0.0.5/tcp/4001", open, "/ip6/fe80::1/tcp/4001"}, []string{open}},
	} {
		if got := Dialable(c.in); !slices.Equal(got, c.want) {
			t.Errorf("Dialable(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestAddressesAreKnownByTheirScope(t *testing.T) {
	for addr, want := range map[string]Scope{
		"/ip4/0.0.0.0/tcp/1": Nowhere, "/ip6/::/udp/1/quic-v1": Nowhere, "garbage": Nowhere,
		"/ip4/127.0.0.1/tcp/1": Machine, "/ip4/127.9.0.1/udp/1/quic-v1": Machine, "/ip6/::1/tcp/1": Machine, "/ip6/::ffff:127.0.0.1/tcp/1": Machine,
		"/ip4/10.1.2.3/tcp/1": Site, "/ip4/172.16.0.1/tcp/1": Site, "/ip4/192.168.0.1/tcp/1": Site, "/ip4/169.254.0.1/tcp/1": Site,
		"/ip4/100.64.0.1/tcp/1": Site, "/ip6/fd00::1/tcp/1": Site, "/ip6/fe80::1/tcp/1": Site,
		"/ip4/172.32.0.1/tcp/1": Anywhere, "/ip4/100.128.0.1/tcp/1": Anywhere, "/ip6/2001:db8::1/tcp/1": Anywhere, "/dns4/n.example.org/tcp/1": Anywhere,
		"/ip4/203.0.113.7/tcp/1/p2p/12D3KooWLFW943PSHrxp3Y3xguNEVSuh9bMPv5vqrcyfUGUhC5B3/p2p-circuit": Anywhere,
	} {
		if got := ScopeOf(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	for host, want := range map[string]Scope{"": Nowhere, "0.0.0.0:1": Nowhere, "[::]:1": Nowhere, ":4002": Nowhere, "127.0.0.1:1": Machine, "localhost:1": Machine, "192.168.0.1:1": Site, "[fd00::1]:1": Site, "203.0.113.7:1": Anywhere, "n.example.org:1": Anywhere} {
		if got := ScopeOfHost(host); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
}

func TestAnAddressNamesItsOwnPeer(t *testing.T) {
	const me, other = "12D3KooWLFW943PSHrxp3Y3xguNEVSuh9bMPv5vqrcyfUGUhC5B3", "12D3KooWLGtwUCBcoYbxttP2c5pmPGmd5i45gphCbBjzuEe1cYYp"
	for _, in := range []string{"/ip4/203.0.113.7/tcp/4001", "/ip4/203.0.113.7/tcp/4001/p2p/" + me} {
		if got, err := WithPeer(in, me); err != nil || got != "/ip4/203.0.113.7/tcp/4001/p2p/"+me {
			t.Errorf("WithPeer(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"203.0.113.7:4001", "/ip4/203.0.113.7/tcp/4001/p2p/" + other} {
		if got, err := WithPeer(in, me); err == nil {
			t.Errorf("WithPeer(%q) = %q, want an error", in, got)
		}
	}
	if ip, ok := IPOf("/ip4/203.0.113.7/tcp/4001"); !ok || ip != "203.0.113.7" {
		t.Errorf("IPOf = %q, %v", ip, ok)
	}
	if ip, ok := IPOf("/dns4/example.org/tcp/4001"); ok {
		t.Errorf("IPOf a name = %q", ip)
	}
}
