package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/token"
)

// founders lets some operators ask for places in a network to come, each with a directory
// and a wallet of its own, and returns the directories and the files.
func founders(t *testing.T, name string, hosts int) (dirs, files []string, operator token.Address) {
	t.Helper()
	root := t.TempDir()
	t.Setenv(envPrefix+"WALLET", filepath.Join(root, "wallet"))
	ok(t, "wallet", "new", "--no-passphrase")
	operator = okJSON[walletShown](t, "wallet", "show", "--offline").Address
	ports, err := port.Testnets.Free(2 * hosts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range hosts {
		dir, file := filepath.Join(root, fmt.Sprint("host-", i)), filepath.Join(root, fmt.Sprint(i, ".json"))
		listen := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[2*i])
		ok(t, "network", "request", name, "--dir", dir, "--operator", operator.String(), "--address", listen, "--listen", listen,
			"--ledger-listen", net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[2*i+1])), "--capacity", "10GiB", "--name", fmt.Sprint("n", i), "-o", file)
		dirs, files = append(dirs, dir), append(files, file)
	}
	return dirs, files, operator
}

// Operators on several hosts, which know nothing of each other but files, start a network.
func TestFoundersStartANetwork(t *testing.T) {
	testlevel.Middle(t, "starts a network of nodes")
	home(t)
	dirs, files, operator := founders(t, "reef", 5)
	file := filepath.Join(t.TempDir(), "network.toml")
	create := append([]string{"network", "create", "reef"}, files...)
	create = append(create, "--preset", "local", "--account", operator.String()+"=5000WAL", "-o", file)
	if dry := okJSON[networkShown](t, append(create, "--dry-run")...); len(dry.Nodes) != 5 || dry.File != "" {
		t.Errorf("the rehearsal shows %+v", dry)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the rehearsal wrote a file")
	}
	made := okJSON[networkShown](t, create...)
	refused(t, exitFail, []string{"exists"}, create...)
	if shown := okJSON[networkShown](t, "network", "show", file); shown.Genesis != made.Genesis || len(shown.Accounts) != 1 || shown.Accounts[0].Amount != 6000*token.WAL {
		t.Errorf("shown %+v, made %+v", shown, made)
	}
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	t.Cleanup(cancel)
	for _, dir := range dirs {
		refused(t, exitFail, []string{"you expect"}, "network", "join", file, "--dir", dir, "--genesis", strings.Repeat("0", 64))
		ok(t, "network", "verify", file, "--dir", dir)
		ok(t, "network", "join", file, "--dir", dir, "--genesis", made.Genesis)
		cmd := exec.CommandContext(ctx, program.Program, "node", "run", "--dir", dir)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 20 * time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cancel(); cmd.Wait() })
	}
	for {
		s, err := node.AskStatus(ctx, dirs[4])
		if err == nil && s.Height >= 3 && s.LedgerPeers == 4 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("no network: %+v, %v", s, err)
		}
		time.Sleep(50 * time.Millisecond) // until the nodes have met; the context bounds it
	}
	// A token holder, and a file.
	t.Setenv(envPrefix+"NETWORK", file)
	d := &developer{t, t.TempDir(), ""}
	path, content := d.file("stored", 10_000, 3)
	d.reads(d.store(path).ID, content)
	// A later operator comes by the address of any node.
	n, err := client.LoadNetwork(file)
	if err != nil {
		t.Fatal(err)
	}
	ok(t, "node", "init", "--dir", filepath.Join(t.TempDir(), "late"), "--network", n.Bootstrap[2], "--genesis", made.Genesis)
}

// A node that others of its network cannot dial is entered nowhere.
func TestANodeIsEnteredOnlyWhereOthersCanDialIt(t *testing.T) {
	const public, private, local = "/ip4/203.0.113.7/tcp/4001", "/ip4/192.168.1.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"
	for _, c := range []struct {
		network, addresses []string
		ledger, says       string
	}{
		{[]string{public}, []string{public}, "203.0.113.7:4002", ""},
		{[]string{public, private}, []string{"/dns4/n.example.org/tcp/4001"}, "n.example.org:4002", ""},
		{[]string{private}, []string{private}, "192.168.1.5:4002", ""},
		{[]string{private}, []string{public}, "203.0.113.7:4002", ""},
		{[]string{local}, []string{local}, "127.0.0.1:4002", ""},
		{[]string{public}, []string{public, private}, "203.0.113.7:4002", "the same local network only"},
		{[]string{public}, []string{public}, "192.168.1.5:4002", "--ledger-address"},
		{[]string{public}, []string{public}, "0.0.0.0:4002", "--ledger-address"},
		{[]string{private}, []string{local}, "192.168.1.5:4002", "the same machine only"},
	} {
		err := reachableFrom(c.network, c.addresses, c.ledger)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%v at %v, ledger %s: %v, want %q", c.network, c.addresses, c.ledger, err, c.says)
		}
	}
}

// A node that has run for a network is not moved to another one, and what its network.toml
// says beside the genesis stays.
func TestANodeThatHasRunJoinsNoOtherNetwork(t *testing.T) {
	home(t)
	dirs, files, operator := founders(t, "reef", 4)
	first, second := filepath.Join(t.TempDir(), "network.toml"), filepath.Join(t.TempDir(), "network.toml")
	create := append([]string{"network", "create", "reef"}, files...)
	one := okJSON[networkShown](t, append(create, "-o", first)...)
	two := okJSON[networkShown](t, append(create, "-o", second, "--subsidy", "1WAL")...)
	join := func(file, genesis string) []string {
		return []string{"network", "join", file, "--dir", dirs[0], "--genesis", genesis}
	}
	ok(t, join(second, two.Genesis)...)
	ok(t, join(first, one.Genesis)...) // it was a mistake, and the node has not run
	if err := os.Mkdir(filepath.Join(dirs[0], node.LedgerDir), 0o700); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dirs[0], networkCopy)
	n, err := client.LoadNetwork(own)
	if err != nil {
		t.Fatal(err)
	}
	n.Checkpoint = &light.Checkpoint{Height: 7, Hash: n.Genesis.Hash()}
	if err := n.Save(own); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFail, []string{"has run", string(n.Genesis.ChainID())}, join(second, two.Genesis)...)
	ok(t, join(first, one.Genesis)...)
	if n, err = client.LoadNetwork(own); err != nil || n.Genesis.Hash().String() != one.Genesis || n.Checkpoint == nil {
		t.Errorf("%v, checkpoint %v, %v", n.Genesis.ChainID(), n.Checkpoint, err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFail, []string{"has run"}, join(second, two.Genesis)...)
	refused(t, exitFail, []string{"has run"}, "network", "request", "atoll", "--dir", dirs[0], "--operator", operator.String(), "--address", "/ip4/127.0.0.1/tcp/4001", "--capacity", "10GiB")
}

// What a founder asked for is what it gets, or it does not join.
func TestANetworkThatWasTamperedWithIsNotJoined(t *testing.T) {
	home(t)
	dirs, files, operator := founders(t, "reef", 4)
	file := filepath.Join(t.TempDir(), "network.toml")
	ok(t, append([]string{"network", "create", "reef", "-o", file}, files...)...)
	good, err := client.LoadNetwork(file)
	if err != nil {
		t.Fatal(err)
	}
	own := okJSON[verifiedNetwork](t, "network", "verify", file, "--dir", dirs[1])
	i := 0
	for good.Genesis.Nodes[i].ID != own.Node {
		i++
	}
	other := token.KeyFromSeed([32]byte{9}).Address()
	for name, change := range map[string]func(n *client.Network){
		"operator":        func(n *client.Network) { n.Genesis.Nodes[i].Operator = other },
		"payout":          func(n *client.Network) { n.Genesis.Nodes[i].Payout = other },
		"governance":      func(n *client.Network) { n.Genesis.Nodes[i].Governance = other },
		"bond":            func(n *client.Network) { n.Genesis.Nodes[i].Bond++ },
		"addresses":       func(n *client.Network) { n.Genesis.Nodes[i].Addresses = n.Genesis.Nodes[(i+1)%4].Addresses },
		"ledger address":  func(n *client.Network) { n.Genesis.Nodes[i].Comet = "127.0.0.1:1" },
		"capacity":        func(n *client.Network) { n.Genesis.Nodes[i].CapacityKiB++ },
		"commission":      func(n *client.Network) { n.Genesis.Nodes[i].CommissionBps++ },
		"not in the gene": func(n *client.Network) { n.Genesis.Nodes = append(n.Genesis.Nodes[:i:i], n.Genesis.Nodes[i+1:]...) },
	} {
		bad := good
		bad.Genesis.Nodes = append(bad.Genesis.Nodes[:0:0], good.Genesis.Nodes...)
		change(&bad)
		path := filepath.Join(t.TempDir(), "bad.toml")
		if err := bad.Save(path); err != nil {
			t.Fatal(err)
		}
		for _, act := range []string{"verify", "join"} {
			refused(t, exitFail, []string{name}, "network", act, path, "--dir", dirs[1], "--genesis", bad.Genesis.Hash().String())
		}
		if _, err := os.Stat(filepath.Join(dirs[1], networkCopy)); err == nil {
			t.Fatalf("%s: joined", name)
		}
	}
	few := files[:3]
	refused(t, exitUsage, []string{"at least 4"}, append([]string{"network", "create", "reef"}, few...)...)
	refused(t, exitFail, []string{"twice"}, "network", "create", "reef", files[0], files[1], files[2], files[2])
	refused(t, exitFail, []string{"not \"atoll\""}, append([]string{"network", "create", "atoll"}, files...)...)
	refused(t, exitUsage, []string{"local, main, small"}, append([]string{"network", "create", "reef", "--preset", "huge"}, files...)...)
	refused(t, exitUsage, []string{"ADDRESS=AMOUNT"}, append([]string{"network", "create", "reef", "--account", operator.String()}, files...)...)
	refused(t, exitFail, []string{"walrus network request"}, "network", "create", "reef", file, file, file, file)
	refused(t, exitUsage, []string{"--operator"}, "network", "request", "reef", "--dir", filepath.Join(t.TempDir(), "n"))
	refused(t, exitFail, []string{"asked for no place"}, "network", "verify", file, "--dir", t.TempDir())
}
