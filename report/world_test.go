package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/court"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// world is a ledger in memory, and the figures that are read from it.
type world struct {
	*court.Court
	operator, holder, payer token.Key
}

// genesisTime is the time of every block of a world.
var genesisTime = time.UnixMilli(1_800_000_000_000)

func newWorld(t testing.TB, nodes int, bond token.Amount) *world {
	t.Helper()
	w := &world{operator: token.KeyFromSeed([32]byte{9, 0}), holder: token.KeyFromSeed([32]byte{9, 1}), payer: token.KeyFromSeed([32]byte{9, 2})}
	g := ledger.Genesis{Name: "report", Time: genesisTime.UnixMilli(), Params: court.Params()}
	for _, k := range []token.Key{w.operator, w.holder, w.payer} {
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: k.Address(), Amount: 1_000_000 * token.WAL})
	}
	for i := range nodes {
		s := token.Secret{8, byte(i)}
		n := ledger.GenesisNode{Operator: w.operator.Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: fmt.Sprintf("node %d", i), CapacityKiB: 1 << 30, Bond: bond, CommissionBps: 1000}
		g.Nodes = append(g.Nodes, n.Prove(g.Name, s.Key(), s.BLSKey()))
	}
	w.Court = court.New(t, g)
	return w
}

// now looks at the ledger as it is, at the time of its newest block.
func (w *world) now() Now {
	w.Helper()
	n, err := Look(w.View(), genesisTime)
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// paidEpoch gives the epoch 1000 WAL to share, and runs it.
func (w *world) paidEpoch(faults ...ledger.Fault) {
	w.Helper()
	w.Do(w.payer, 1000*token.WAL, ledger.Transfer{To: w.payer.Address(), Amount: 1})
	w.Epoch(faults...)
}

// node is a node's figures, over the last 8 epochs.
func (w *world) node(id staking.NodeID) Node {
	w.Helper()
	for _, n := range must(w.now().Nodes(8))(w) {
		if n.ID == id {
			return n
		}
	}
	w.Fatalf("no node %s", id)
	return Node{}
}

// jail is a node's status, over the last 8 epochs.
func (w *world) jail(id staking.NodeID) JailStatus {
	w.Helper()
	r, known, err := w.View().Node(id)
	if err != nil || !known {
		w.Fatalf("no record of %s: %v", id, err)
	}
	return must(w.now().JailStatus(r, 8))(w)
}

// must gives a value, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
