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
	} {
		if got := Dialable(c.in); !slices.Equal(got, c.want) {
			t.Errorf("Dialable(%q) = %q, want %q", c.in, got, c.want)
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
