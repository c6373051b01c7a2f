package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
)

// beginning is the first of some addresses that begins with a text.
func beginning(addresses []string, with string) string {
	for _, a := range addresses {
		if strings.HasPrefix(a, with) {
			return a
		}
	}
	return ""
}

// A network over hosts with IPv4 alone, IPv6 alone and both. A node behind a router that
// forwards nothing is refused until relays serve it; then it is entered, and a host behind
// another router reaches it.
func TestANodeBehindARouterIsEnteredAndReached(t *testing.T) {
	testlevel.Whole(t, "runs nodes in network namespaces")
	home(t)
	h := newHosts(t)
	root := t.TempDir()
	t.Setenv(envPrefix+"WALLET", filepath.Join(root, "wallet"))
	ok(t, "wallet", "new", "--no-passphrase")
	operator := okJSON[walletShown](t, "wallet", "show", "--offline").Address.String()
	file := filepath.Join(root, "network.toml")
	create := []string{"network", "create", "reef", "--preset", "local", "--account", operator + "=1000000WAL", "-o", file}
	at := func(i int) string { return filepath.Join(root, fmt.Sprint("n", i)) }
	const founders = 5
	for i := range founders {
		v4, v6 := fmt.Sprintf("45.0.0.%d", i+1), fmt.Sprintf("2a00::%d", i+1)
		var addresses []string
		request := []string{"network", "request", "reef", "--dir", at(i), "--operator", operator, "--capacity", "10GB", "-o", at(i) + ".json", "--listen"}
		switch i {
		case 0: // IPv4 alone
			addresses = []string{v4 + "/24"}
			request = append(request, "/ip4/0.0.0.0/tcp/4001", "--address", "/ip4/"+v4+"/tcp/4001")
		case 1: // IPv6 alone
			addresses = []string{v6 + "/64"}
			request = append(request, "/ip6/::/tcp/4001,/ip6/::/udp/4001/quic-v1", "--address", "/ip6/"+v6+"/tcp/4001,/ip6/"+v6+"/udp/4001/quic-v1", "--ledger-listen", "[::]:4002")
		default:
			addresses = []string{v4 + "/24", v6 + "/64"}
			request = append(request, "/ip4/0.0.0.0/tcp/4001,/ip6/::/tcp/4001", "--address", "/ip4/"+v4+"/tcp/4001,/ip6/"+v6+"/tcp/4001", "--ledger-listen", "[::]:4002", "--ledger-address", v4+":4002")
		}
		h.public(fmt.Sprint("n", i), addresses...)
		ok(t, request...)
		create = append(create, at(i)+".json")
	}
	made := okJSON[networkShown](t, create...)
	for i := range founders {
		ok(t, "network", "join", file, "--dir", at(i), "--genesis", made.Genesis)
		h.start(fmt.Sprint("n", i), at(i))
	}
	for i := range founders {
		h.status(at(i), "a public node runs, and knows that it is reached", func(s node.Status) bool { return s.Height >= 3 && s.Reach == p2p.ReachDirect })
	}
	t.Setenv(envPrefix+"NETWORK", file)
	h.public("six", "2a00::66/64")
	if out := h.ok("six", "info"); !strings.Contains(out, "proven") {
		t.Errorf("over IPv6 alone: %s", out)
	}
	h.public("r1", "45.0.0.101/24")
	h.behind("r1", "home")
	h.public("r2", "45.0.0.102/24")
	h.behind("r2", "away")
	dir, request := filepath.Join(root, "home"), filepath.Join(root, "request.json")
	h.ok("home", "node", "init", "--dir", dir, "--network", beginning(made.Bootstrap, "/ip4/45.0.0.3/tcp/"), "--genesis", made.Genesis, "--capacity", "10GB")
	ask := []string{"node", "request", "--dir", dir, "--operator", operator, "-o", request}
	for what, args := range map[string][]string{
		"run the node first":          ask,
		"peers do not reach the node": append(ask, "--address", "/ip4/45.0.0.101/tcp/4001"),
	} {
		if out, code := h.run("home", args...); code == exitOK || !strings.Contains(out, what) {
			t.Errorf("before it runs: exit %d: %s", code, out)
		}
	}
	stop := h.start("home", dir)
	h.status(dir, "relays serve the node behind the router", func(s node.Status) bool { return s.Reach == p2p.ReachRelayed && len(p2p.Dialable(s.Addrs)) >= 3 })
	if out := h.ok("home", ask...); !strings.Contains(out, "pool create --request") {
		t.Error(out)
	}
	if out := h.ok("away", "pool", "create", "--request", request, "--bond", "100000WAL"); !strings.Contains(out, "peers reached it") {
		t.Errorf("entered: %s", out)
	}
	text, err := os.Open(request)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	asked, err := decodeRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	bond := []string{"pool", "bond", asked.Node.String(), "1WAL", "--dry-run"}
	// Relays let clients come to a node of the ledger: they list its nodes now and then.
	for {
		out, code := h.run("away", bond...)
		if code == exitOK && strings.Contains(out, "it answers this machine now") {
			break
		}
		if h.ctx.Err() != nil {
			t.Fatalf("from behind another router: exit %d: %s", code, out)
		}
		time.Sleep(time.Second) // until the relays know the node; the context bounds it
	}
	stop()
	if out, code := h.run("away", bond...); code == exitOK || !strings.Contains(out, "does not answer this machine now") {
		t.Errorf("a node that nobody can dial gets a bond: exit %d: %s", code, out)
	}
}
