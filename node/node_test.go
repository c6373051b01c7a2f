package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/p2p/p2ptest"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
)

// network is real nodes on a network in memory that share one ledger of one machine. It
// is started in a bubble, in which waiting costs nothing.
type network struct {
	t       *testing.T
	air     *p2ptest.Network
	genesis ledger.Genesis
	ledger  local
	wallet  token.Key
	nodes   []*running
	staged  int64 // of the stores that are opened from now on
	room    int64 // bytes of fragments in them; 0: as much as the disk takes
	rate    int64 // bytes a second that nodes that are started from now on repair with; 0: the default
}

// local is a ledger.Local as a node wants it.
type local struct {
	*ledger.Local
	behind *atomic.Bool
}

func (l local) AtTip() bool { return l.behind == nil || !l.behind.Load() }

func (l local) Hold(context.Context) (ledger.View, func(), error) { return l.Machine().Hold() }

type running struct {
	secret token.Secret
	dir    string
	place  p2ptest.Place
	host   *p2p.Host
	store  *store.Store
	node   *Node
	stop   func()

	conduct Conduct
}

func quiet() *slog.Logger {
	if os.Getenv("WALRUS_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// payout is where a node's earnings go: not to the wallet that operates them all.
func payout(secret token.Secret) token.Address { return token.KeyFromSeed(secret).Address() }

func startNetwork(t *testing.T, nodes, shards int) *network {
	t.Helper()
	n := newNetwork(t, nodes, shards, ledger.Testnet())
	for i := range n.nodes {
		n.start(i)
	}
	return n
}

// newNetwork is a network whose nodes do not run yet.
func newNetwork(t *testing.T, nodes, shards int, params ledger.Params) *network {
	t.Helper()
	n := &network{t: t, air: p2ptest.NewNetwork(t, time.Millisecond, 0), wallet: token.KeyFromSeed([32]byte{42})}
	n.genesis = ledger.Genesis{Name: "test", Time: time.Now().UnixMilli(), Params: params,
		Accounts: []ledger.GenesisAccount{{Address: n.wallet.Address(), Amount: 1_000_000 * token.WAL}}}
	n.genesis.Params.Shards = shards
	n.genesis.Params.Challenged = false // no validator makes blocks in time
	for i := range nodes {
		secret := token.Secret{byte(i + 1), 77}
		id := staking.NodeID(secret.Key().Public())
		bls, place := secret.BLSKey(), n.air.Place()
		n.genesis.Nodes = append(n.genesis.Nodes, ledger.GenesisNode{
			ID: id, Operator: n.wallet.Address(), Payout: payout(secret), BLS: bls.Public(),
			BLSProof:  bls.ProvePossession(ledger.BLSProofMessage("test", id, bls.Public())),
			Addresses: []string{place.Listen + "/p2p/" + id.String()}, Name: fmt.Sprintf("node-%d", i), CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL,
		})
		n.nodes = append(n.nodes, &running{secret: secret, dir: t.TempDir(), place: place})
	}
	l, err := ledger.NewLocal(n.genesis, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		t.Fatal(err)
	}
	n.ledger = local{l, new(atomic.Bool)}
	t.Cleanup(func() {
		for i := range n.nodes {
			n.stop(i)
		}
	})
	return n
}

func (n *network) view() ledger.View {
	n.t.Helper()
	v, err := n.ledger.View(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return v
}

func (n *network) start(i int) {
	n.t.Helper()
	r := n.nodes[i]
	var err error
	var bootstrap []string
	if i > 0 {
		bootstrap = n.genesis.Nodes[0].Addresses
	}
	r.host, err = p2p.New(p2p.Config{Key: r.secret.Key().Ed25519(), Listen: []string{r.place.Listen}, Bootstrap: bootstrap, Wire: r.place.Wire,
		Hello: p2p.Hello{Chain: string(n.ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		n.t.Fatal(err)
	}
	if r.store, err = store.Open(store.Options{Dir: filepath.Join(r.dir, "fragments"), StagedCapacity: n.staged, Capacity: n.room, Logger: quiet()}); err != nil {
		n.t.Fatal(err)
	}
	config := DefaultConfig()
	if n.rate > 0 {
		config.RepairRate = n.rate
	}
	r.node = New(config, r.secret, n.ledger.ChainID(), r.host, r.store, n.ledger, quiet().With("node", i))
	r.node.Behave(r.conduct)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.node.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Errorf("node %d: %v", i, err)
		}
		if err := errors.Join(r.host.Close(), r.store.Close()); err != nil {
			n.t.Errorf("close node %d: %v", i, err)
		}
	}
}

func (n *network) stop(i int) {
	if r := n.nodes[i]; r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// wipe stops a node and takes its fragments away.
func (n *network) wipe(i int) {
	n.t.Helper()
	n.stop(i)
	if err := os.RemoveAll(filepath.Join(n.nodes[i].dir, "fragments")); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) client() *client.Client { return n.clientOf(n.ledger) }

// clientOf is a client that reads a ledger of its own.
func (n *network) clientOf(l client.Ledger) *client.Client {
	n.t.Helper()
	key := token.KeyFromSeed([32]byte{byte(rand.Int()), byte(rand.Int()), byte(rand.Int()), 1})
	host, err := p2p.New(p2p.Config{Key: key.Ed25519(), Bootstrap: n.genesis.Nodes[0].Addresses, Wire: n.air.Place().Wire,
		Hello: p2p.Hello{Chain: string(n.ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		n.t.Fatal(err)
	}
	c := client.New(host, l, n.ledger.ChainID(), quiet())
	n.t.Cleanup(func() { c.Close(); host.Close() })
	return c
}

// memory is a source in memory.
type memory []byte

func (m memory) Size() int64 { return int64(len(m)) }

func (m memory) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m[offset:])), nil
}

func random(size int, seed int64) memory {
	b := make(memory, size)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (n *network) read(ctx context.Context, c *client.Client, id blob.ID, want []byte) {
	n.t.Helper()
	var got bytes.Buffer
	if err := c.ReadBlob(ctx, id, &got); err != nil {
		n.t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		n.t.Fatalf("blob %s reads back wrong: %d bytes, want %d", id, got.Len(), len(want))
	}
}

func (n *network) store(ctx context.Context, c *client.Client, data memory) client.StoreResult {
	n.t.Helper()
	stored, err := c.Store(ctx, n.wallet, data, client.StoreOptions{Epochs: 5})
	if err != nil {
		n.t.Fatal(err)
	}
	return stored
}

func TestABlobSurvivesFStoppedNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		c := n.client()
		for _, size := range []int{0, 1, 10_007, 300_000} {
			data := random(size, int64(size))
			stored := n.store(ctx, c, data)
			n.read(ctx, c, stored.ID, data)
			n.stop(size % 4)
			n.read(ctx, n.client(), stored.ID, data)
			degraded := random(size+3, 9)
			n.read(ctx, c, n.store(ctx, c, degraded).ID, degraded)
			n.start(size % 4)
		}
	})
}

func TestWipedNodeHealsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, 28)
		ctx := within(t)
		c := n.client()
		data := random(8<<20, 1)
		stored := n.store(ctx, c, data)
		held := n.nodes[3].store.Usage().Bytes
		n.stop(3)
		if err := os.RemoveAll(filepath.Join(n.nodes[3].dir, "fragments")); err != nil {
			t.Fatal(err)
		}
		n.start(3)
		n.healed(ctx, 3)
		if got := n.nodes[3].store.Usage().Bytes; got != held {
			t.Errorf("holds %d bytes, held %d before", got, held)
		}
		r := n.nodes[3].node.progress.get()
		t.Logf("healed %d bytes, moved %d (%.3f)", r.HealedBytes, r.MovedBytes, float64(r.MovedBytes)/float64(r.HealedBytes))
		if r.MovedBytes > r.HealedBytes*108/100 {
			t.Errorf("moved %d bytes to heal %d", r.MovedBytes, r.HealedBytes)
		}
		// What was rebuilt serves: read with only the healed node and two others.
		for _, i := range []int{0, 1, 2, 4} {
			n.stop(i)
		}
		n.read(ctx, n.client(), stored.ID, data)
	})
}

// healed waits until a node's recovery loop has looked and found nothing missing.
func (n *network) healed(ctx context.Context, i int) {
	n.t.Helper()
	for {
		if r := n.nodes[i].node.progress.get(); r.LookedAt > 0 && r.BacklogBlobs == 0 {
			return
		}
		select {
		case <-ctx.Done():
			n.t.Fatalf("node %d does not heal: %+v", i, n.nodes[i].node.progress.get())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestStragglerOfAStoreIsServedByRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, 28)
		ctx := within(t)
		c := n.client()
		n.stop(2)
		n.stop(5)
		data := random(3<<20, 2)
		stored := n.store(ctx, c, data)
		n.read(ctx, c, stored.ID, data)
		n.start(2)
		n.start(5)
		n.healed(ctx, 2)
		n.healed(ctx, 5)
		for _, i := range []int{0, 1, 3, 4} {
			n.stop(i)
		}
		n.read(ctx, n.client(), stored.ID, data)
	})
}

// A store waits for members that are too busy to answer: one takes the blob after the other.
func TestAStoreWaitsForBusyMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, 28)
		ctx := within(t)
		for _, i := range []int{2, 3, 4, 5} {
			n.stop(i)
		}
		stored := make(chan error, 1)
		go func() {
			_, err := n.client().Store(ctx, n.wallet, random(300_000, 3), client.StoreOptions{})
			stored <- err
		}()
		for _, i := range []int{2, 3} { // virtual: each answers later than a dial may take
			time.Sleep(12 * time.Second)
			n.start(i)
		}
		if err := <-stored; err != nil {
			t.Error(err)
		}
	})
}

// Members that refuse are not waited for, and silent ones not for long.
func TestStoreFailsFastAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		n.stop(1)
		n.stop(2)
		began := time.Now()
		_, err := n.client().Store(ctx, n.wallet, random(1000, 3), client.StoreOptions{})
		if !errors.Is(err, client.ErrQuorum) || !strings.Contains(err.Error(), "try again") {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took > 20*time.Second { // virtual
			t.Errorf("it took %s", took)
		}
		v, _ := n.ledger.View(ctx)
		if a, _ := v.Account(n.wallet.Address()); a.Nonce != 0 {
			t.Error("paid for a blob that could not be stored")
		}
	})
}

func TestSecondStoreSendsAndPaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		data := random(500_000, 4)
		first := n.store(ctx, n.client(), data)
		second := n.store(ctx, n.client(), data)
		if !second.Already || second.SentBytes != 0 || second.ID != first.ID {
			t.Errorf("second store: %+v", second)
		}
	})
}

func TestRangeReadsAreExactAndSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		c := n.client()
		data := random(400_000, 5) // several stripes of 98,304 bytes
		stored := n.store(ctx, c, data)
		_, commitment, d, err := c.Find(ctx, stored.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range [][2]int64{{0, 1}, {399_999, 1}, {100, 40_000}, {90_000, 20_000}, {0, 400_000}, {98_303, 2}, {5, 0}, {200_000, 150_000}} {
			var got bytes.Buffer
			before := c.Received()
			if err := c.ReadRange(ctx, d, commitment, r[0], r[1], &got); err != nil {
				t.Fatal(r, err)
			}
			if !bytes.Equal(got.Bytes(), data[r[0]:r[0]+r[1]]) {
				t.Fatalf("range %v reads wrong", r)
			}
			if moved := c.Received() - before; r[1] == 1 && moved > 20_000 {
				t.Errorf("one byte moved %d", moved)
			}
		}
		if err := c.ReadRange(ctx, d, commitment, 399_999, 2, io.Discard); !errors.Is(err, fetch.ErrRange) {
			t.Errorf("got %v", err)
		}
	})
}
