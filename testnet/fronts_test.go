package testnet

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/node"
)

// Nodes that are reached elsewhere than where they listen are on the ledger where they are
// reached, also for the agreement.
func TestTheLedgerNamesFronts(t *testing.T) {
	o := Default()
	o.Dir, o.Host = filepath.Join(t.TempDir(), "net"), func(int) string { return "127.0.0.1" }
	front := func(i, n int) string { return "127.0.0.1:" + strconv.Itoa(50_000+10*i+n) }
	var listens []Places
	o.Fronts = func(i int, at Places) (Places, error) {
		listens = append(listens, at)
		return Places{TCP: front(i, 1), QUIC: front(i, 2), Ledger: front(i, 3)}, nil
	}
	net, err := Create(o, testProgram())
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range net.Network.Genesis.Nodes {
		id := "/p2p/" + n.ID.String()
		want := []string{"/ip4/127.0.0.1/tcp/" + strconv.Itoa(50_001+10*i) + id, "/ip4/127.0.0.1/udp/" + strconv.Itoa(50_002+10*i) + "/quic-v1" + id}
		if !slices.Equal(n.Addresses, want) || n.Comet != front(i, 3) {
			t.Errorf("node %d is named at %v and %s", i, n.Addresses, n.Comet)
		}
		file, err := node.LoadFile(net.NodeDir(i))
		if err != nil {
			t.Fatal(err)
		}
		at := listens[i]
		if file.LedgerListen != at.Ledger || file.LedgerAddress != front(i, 3) || len(file.Listen) != 2 || !strings.HasSuffix(file.Listen[0], at.TCP[strings.Index(at.TCP, ":")+1:]) {
			t.Errorf("node %d listens on %v and %s, reached at %s", i, file.Listen, file.LedgerListen, file.LedgerAddress)
		}
	}
}
