package p2p

import (
	"slices"
	"strings"
	"testing"

	madns "github.com/multiformats/go-multiaddr-dns"
)

// named is a DNS that knows one name of seeds.
func named(t *testing.T, name string, records ...string) *madns.Resolver {
	t.Helper()
	r, err := madns.NewResolver(madns.WithDefaultResolver(&madns.MockResolver{TXT: map[string][]string{"_dnsaddr." + name: records}}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestANetworkIsFoundByAName(t *testing.T) {
	virtual(t, func(t *testing.T) {
		a, b := newHost(t, 1, "net"), newHost(t, 2, "net")
		records := []string{"v=spf1 -all", "dnsaddr=/ip4/203.0.113.9/tcp/1", "dnsaddr=nonsense"}
		for _, addr := range append(a.Addrs(), b.Addrs()...) {
			records = append(records, "dnsaddr="+addr)
		}
		c := open(t, Config{Key: key(3), Listen: []string{loopback}, Bootstrap: []string{"/dnsaddr/seeds.example.org"}, Names: named(t, "seeds.example.org", records...), Hello: Hello{Chain: "net"}})
		if got := c.Bootstrap(); len(got) != 2 {
			t.Fatalf("the name leads to %v", got)
		}
		c.callBootstrap(within(t))
		for _, h := range []*Host{a, b} {
			if !slices.Contains(c.libp2p.Network().Peers(), h.ID()) {
				t.Errorf("%s was not called", h.ID())
			}
		}
	})
}

// A name belongs to whoever has it now: it cannot make this host dial without bound.
func TestWhatANameStandsForIsBounded(t *testing.T) {
	p := newHost(t, 1, "net").ID().String()
	records := slices.Repeat([]string{"dnsaddr=/ip4/203.0.113.9/tcp/1/p2p/" + p}, 10*maxSeedAddrs)
	h, err := New(Config{Key: key(2), Bootstrap: []string{"/dnsaddr/seeds.example.org"}, Names: named(t, "seeds.example.org", records...), Hello: Hello{Chain: "net"}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if n := len(h.Bootstrap()); n == 0 || n > maxSeedAddrs {
		t.Errorf("it stands for %d addresses", n)
	}
}

func TestAClientSaysThatANameLeadsNowhere(t *testing.T) {
	c := Config{Key: key(2), Bootstrap: []string{"/dnsaddr/seeds.example.org"}, Names: named(t, "other.example.org"), Hello: Hello{Chain: "net"}}
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "_dnsaddr.seeds.example.org") {
		t.Errorf("a client: %v", err)
	}
	// A node waits for the name, and a client has another way.
	c.Listen = []string{loopback}
	for _, more := range [][]string{nil, {"/ip4/203.0.113.9/tcp/1/p2p/" + newHost(t, 1, "net").ID().String()}} {
		if more != nil {
			c.Listen, c.Bootstrap = nil, append(c.Bootstrap, more...)
		}
		h, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		h.Close()
	}
}

func TestBootstrapAddressesAreRead(t *testing.T) {
	p := newHost(t, 1, "net").ID().String()
	for addr, ok := range map[string]bool{
		"/ip4/203.0.113.7/tcp/1/p2p/" + p:     true,
		"/dns4/n.example.org/tcp/1/p2p/" + p:  true,
		"/dnsaddr/seeds.example.org":          true,
		"/dnsaddr/seeds.example.org/p2p/" + p: true,
		"/ip4/203.0.113.7/tcp/1":              false,
		"/dns4/seeds.example.org":             false,
		"/dnsaddr/seeds.example.org/tcp/1":    false,
		"seeds.example.org":                   false,
		"":                                    false,
	} {
		err := CheckBootstrap([]string{addr})
		if (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
		if err != nil && !strings.Contains(err.Error(), "/dnsaddr/NAME") {
			t.Errorf("%q: %v does not say what is right", addr, err)
		}
	}
}
