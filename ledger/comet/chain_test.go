package comet

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// cluster is real CometBFT nodes on loopback.
type cluster struct {
	t       testing.TB
	genesis ledger.Genesis
	wallet  token.Key
	members []*member
	waiting int                                  // see Options
	keep    int64                                // see Options.KeepBlocks
	newest  func(context.Context) (int64, error) // see Options
	others  []Peer                               // beside the members

	mu sync.Mutex // guards the members' addr
}

type member struct {
	secret token.Secret
	dir    string
	addr   string        // of CometBFT
	listen string        // of libp2p
	peers  func() []Peer // whom it connects to; nil: everybody

	attester Attester                    // see Options
	choose   func(ProposerView) Choice   // see Options
	asker    light.Asker                 // see Options
	wrap     func(*app) abci.Application // see Options
	hurry    chan struct{}               // see Options
	chain    *Chain
	host     *p2p.Host
	stop     func()
	end      func() error // waits for its end
}

func quiet() *slog.Logger {
	if os.Getenv("WALRUS_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// freeAddr is a host:port that a member finds free again after it was stopped.
func freeAddr(t testing.TB) string {
	t.Helper()
	ports, err := port.Ledgers.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
}

func newCluster(t testing.TB, members int) *cluster {
	t.Helper()
	testlevel.Middle(t, "starts a network of nodes")
	c := &cluster{t: t, wallet: token.KeyFromSeed([32]byte{7})}
	c.genesis = ledger.Genesis{Name: "test", Time: time.Now().UnixMilli(), Params: ledger.Testnet(),
		Accounts: []ledger.GenesisAccount{{Address: c.wallet.Address(), Amount: 1000 * token.WAL}}}
	c.genesis.Params.BlockMs = 200
	c.genesis.Params.Challenged = false // but where that is what is tested
	for i := range members {
		m := &member{secret: token.Secret{byte(i + 1), 3}, dir: t.TempDir(), addr: freeAddr(t), listen: freeAddr(t)}
		id, bls := staking.NodeID(m.secret.Key().Public()), m.secret.BLSKey()
		_, port, _ := net.SplitHostPort(m.listen)
		m.listen = "/ip4/127.0.0.1/tcp/" + port
		c.genesis.Nodes = append(c.genesis.Nodes, ledger.GenesisNode{
			ID: id, Operator: c.wallet.Address(), BLS: bls.Public(), BLSProof: bls.ProvePossession(ledger.BLSProofMessage("test", id, bls.Public())),
			Addresses: []string{m.listen + "/p2p/" + id.String()}, Comet: m.addr, Name: fmt.Sprintf("node-%d", i), CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL,
		})
		c.members = append(c.members, m)
	}
	t.Cleanup(func() {
		for i := range c.members {
			c.stop(i)
		}
	})
	return c
}

func (c *cluster) peers() []Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.others)
	for _, m := range c.members {
		out = append(out, Peer{Key: m.secret.Key().Public(), Addr: m.addr})
	}
	return out
}

func (c *cluster) setAddr(i int, addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[i].addr = addr
}

func (c *cluster) start(list ...int) {
	c.t.Helper()
	for _, i := range list {
		m := c.members[i]
		peers := m.peers
		if peers == nil {
			peers = c.peers
		}
		chain, err := Open(Options{Dir: filepath.Join(m.dir, "ledger"), KeyDir: m.dir, Genesis: c.genesis, Key: m.secret.Key(), BLS: m.secret.BLSKey(), Listen: m.addr, Peers: peers, Waiting: c.waiting, Attester: m.attester, Choose: m.choose, Log: quiet().With("node", i), wrap: m.wrap, Hurry: m.hurry, KeepBlocks: c.keep, keepFewer: true, Asker: m.asker, Newest: c.newest, far: 8})
		if err != nil {
			c.t.Fatal(err)
		}
		m.chain = chain
		m.host, err = p2p.New(p2p.Config{Key: m.secret.Key().Ed25519(), Listen: []string{m.listen}, Log: quiet(),
			Hello: p2p.Hello{Chain: string(c.genesis.ChainID()), Version: "test", Ledger: m.addr}})
		if err != nil {
			c.t.Fatal(err)
		}
		m.host.ServeLedger(chain.Oracle())
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- chain.Run(ctx) }()
		m.end = func() error { return <-done }
		m.stop = func() {
			m.host.Close()
			cancel()
			if err := m.end(); err != nil {
				c.t.Errorf("node %d: %v", i, err)
			}
		}
	}
}

func (c *cluster) stop(i int) {
	if m := c.members[i]; m.stop != nil {
		m.stop()
		m.stop = nil
	}
}

func (c *cluster) pay(ctx context.Context, i int, nonce uint64) ledger.TxReceipt {
	c.t.Helper()
	tx := ledger.Sign(c.wallet, c.genesis.ChainID(), nonce, token.WAL/10, ledger.Transfer{To: token.Address{9}, Amount: token.WAL})
	r, err := c.members[i].chain.Submit(ctx, tx)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *cluster) reach(ctx context.Context, i int, height unit.Height) {
	c.t.Helper()
	m := c.members[i].chain
	for m.machine.Height() < height {
		select {
		case <-m.Changed():
		case <-time.After(100 * time.Millisecond):
		}
		if ctx.Err() != nil {
			for k, other := range c.members {
				if other.chain != nil && other.chain.node != nil {
					n := other.chain.node
					c.t.Logf("node %d: height %d, in block sync %v, %d peers: %s", k, other.chain.machine.Height(), n.ConsensusReactor().WaitSync(), n.Switch().Peers().Size(), n.ConsensusReactor().StringIndented("  "))
				}
			}
			c.t.Fatalf("node %d stands at %d, want %d", i, m.machine.Height(), height)
		}
	}
}

// within bounds a test. CometBFT's block sync shuts a peer out for a minute that is slow
// once, as peers on a busy machine are: a node that catches up may stand still that long.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestALedgerOfFourGoesOnHaltsAndComesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	began := time.Now()
	c.start(0, 1, 2, 3)
	r := c.pay(ctx, 0, 0)
	t.Logf("first transfer in block %d, %v after the start", r.Height, time.Since(began))

	// One of four away: the others go on, and it catches up.
	c.stop(3)
	r = c.pay(ctx, 1, 1)
	c.start(3)
	c.reach(ctx, 3, r.Height+1)

	// Two of four away: no block, but answers with proofs.
	c.stop(2)
	c.stop(3)
	c.remoteReads(ctx, 0)
	c.start(2, 3)
	r = c.pay(ctx, 2, 2)

	// All away, and back.
	for i := range c.members {
		c.stop(i)
	}
	c.start(0, 1, 2, 3)
	r = c.pay(ctx, 3, 3)
	for i := range c.members {
		c.reach(ctx, i, r.Height)
	}
	for i := range c.members {
		v, err := c.members[i].chain.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := v.Account(token.Address{9}); err != nil || a.Balance != 4*token.WAL {
			t.Errorf("node %d: balance %s, %v", i, a.Balance, err)
		}
	}
}

// remoteReads reads an account from afar, with a light client.
func (c *cluster) remoteReads(ctx context.Context, from int) {
	c.t.Helper()
	host, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{88}).Ed25519(), Bootstrap: c.members[from].host.Addrs(), Log: quiet(),
		Hello: p2p.Hello{Chain: string(c.genesis.ChainID()), Version: "test"}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer host.Close()
	r := light.NewRemote(host, c.genesis, lasting)
	v, err := r.View(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	head, err := v.Head()
	if err != nil {
		c.t.Fatal(err)
	}
	a, err := v.Account(c.wallet.Address())
	if err != nil || a.Balance == 0 {
		c.t.Fatalf("balance %s, %v", a.Balance, err)
	}
	if a, err := v.Account(token.Address{1, 2, 3}); err != nil || a.Balance != 0 {
		c.t.Fatalf("account that is not there: %s, %v", a.Balance, err)
	}
	nodes := 0
	if err := v.EachNode(func(ledger.NodeRecord) error { nodes++; return nil }); err != nil || nodes != len(c.genesis.Nodes) {
		c.t.Fatalf("%d nodes, %v", nodes, err)
	}
	c.t.Logf("read with proofs at height %d", head.Height)
}
