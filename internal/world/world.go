// Package world is a small network in one process, for tests of what stands in front of a
// client: real nodes on loopback that share one ledger of one machine, whose blocks come with
// the transactions.
package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
)

// World is a network.
type World struct {
	Genesis ledger.Genesis
	Ledger  Ledger
	Wallet  token.Key // with a million WAL
	Hosts   []*p2p.Host
	Nodes   []*node.Node

	t     testing.TB
	dir   string
	hosts atomic.Uint32
	stops []func()
}

// Ledger is one machine, which blocks come from as fast as transactions do.
type Ledger struct{ *ledger.Local }

// AtTip says that the machine is no copy of another.
func (Ledger) AtTip() bool { return true }

// Hold keeps a state for a reader.
func (l Ledger) Hold(context.Context) (ledger.View, func(), error) { return l.Machine().Hold() }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// New starts a network of nodes over shards, which ends with the test.
func New(t testing.TB, nodes, shards int) *World {
	t.Helper()
	w := &World{t: t, Wallet: token.KeyFromSeed([32]byte{42})}
	w.Genesis = ledger.Genesis{Name: "test", Time: time.Now().UnixMilli(), Params: ledger.Testnet(),
		Accounts: []ledger.GenesisAccount{{Address: w.Wallet.Address(), Amount: 1_000_000 * token.WAL}}}
	w.Genesis.Params.Shards = shards
	w.Genesis.Params.Challenged = false // no validator makes blocks in time
	var secrets []token.Secret
	var listen []string
	ports, err := port.Testnets.Free(nodes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		secret := token.Secret{byte(i + 1), 77}
		listen = append(listen, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[i]))
		id, bls := staking.NodeID(secret.Key().Public()), secret.BLSKey()
		w.Genesis.Nodes = append(w.Genesis.Nodes, ledger.GenesisNode{
			ID: id, Operator: w.Wallet.Address(), Payout: token.KeyFromSeed(secret).Address(), BLS: bls.Public(),
			BLSProof:  bls.ProvePossession(ledger.BLSProofMessage("test", id, bls.Public())),
			Addresses: []string{listen[i] + "/p2p/" + id.String()}, Name: fmt.Sprintf("node-%d", i), CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL,
		})
		secrets = append(secrets, secret)
	}
	l, err := ledger.NewLocal(w.Genesis, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger = Ledger{l}
	w.dir = t.TempDir()
	t.Cleanup(w.stop) // before the directory goes
	for i, secret := range secrets {
		w.start(i, secret, listen[i])
	}
	return w
}

func (w *World) start(i int, secret token.Secret, listen string) {
	w.t.Helper()
	h, err := p2p.New(p2p.Config{Key: secret.Key().Ed25519(), Listen: []string{listen}, Bootstrap: w.bootstrap(i),
		Hello: p2p.Hello{Chain: string(w.Ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: filepath.Join(w.dir, strconv.Itoa(i)), Logger: quiet()})
	if err != nil {
		w.t.Fatal(err)
	}
	n := node.New(node.DefaultConfig(), secret, w.Ledger.ChainID(), h, s, w.Ledger, quiet())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.Hosts, w.Nodes = append(w.Hosts, h), append(w.Nodes, n)
	w.stops = append(w.stops, func() {
		cancel()
		if err := errors.Join(<-done, h.Close(), s.Close()); err != nil {
			w.t.Errorf("node %d: %v", i, err)
		}
	})
}

func (w *World) bootstrap(i int) []string {
	if i == 0 {
		return nil
	}
	return w.Genesis.Nodes[0].Addresses
}

func (w *World) stop() {
	for _, stop := range w.stops {
		stop()
	}
}

// Client is a client of the network, which ends with the test.
func (w *World) Client() *client.Client { return w.ClientOf(w.Ledger) }

// ClientOf is a client with a ledger of its own.
func (w *World) ClientOf(l client.Ledger) *client.Client {
	w.t.Helper()
	h, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{byte(w.hosts.Add(1)), 1}).Ed25519(), Bootstrap: w.Genesis.Nodes[0].Addresses,
		Hello: p2p.Hello{Chain: string(w.Ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		w.t.Fatal(err)
	}
	c := client.New(h, l, w.Ledger.ChainID(), quiet())
	w.t.Cleanup(func() { c.Close(); h.Close() })
	return c
}

// Bytes is a client.Source in memory.
type Bytes []byte

// Size is their number.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Open starts at offset.
func (b Bytes) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[offset:])), nil
}
