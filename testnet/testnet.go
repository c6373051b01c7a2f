// Package testnet runs a network of processes on one machine, for developers and
// for the tests of the whole: it lays the genesis, starts one process per node,
// kills, wipes and starts them again, and checks what must always hold.
//
// The promise: children end with the process that started them, unless they were told to
// stay; ports are chosen once and kept, so that a node comes back where it was.
//
// Nodes can be made adversaries, of a kind each (package adversary): then the testnet
// starts the same node with another conduct.
//
// Left to others: everything an honest node does; a testnet only starts `node run`.
package testnet

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/testnet/adversary"
	"github.com/walrus-network/walrus/token"
)

// Files of a testnet's directory.
const (
	networkName = "network.toml"
	walletName  = "wallet"
	nodesName   = "nodes"
	pidName     = "pid"
	logName     = "node.log"
)

// Errors a caller branches on.
var (
	ErrExists  = errors.New("a testnet lies here already")
	ErrNone    = errors.New("no testnet lies here")
	ErrRunning = errors.New("its nodes are running")
)

// Options say how a new testnet is made.
type Options struct {
	Dir      string
	Nodes    int
	Shards   int
	Block    time.Duration
	Epoch    time.Duration
	Accounts []ledger.GenesisAccount // beside the wallet's
	// Adversaries are the nodes that break the rules, by number; all others are honest.
	Adversaries map[int]adversary.Adversary
	Difference  func(*ledger.Params) // last word on the parameters; may be nil
	// Host is the IPv4 address of a node, where nodes have hosts of their own; nil: all are on
	// this machine's loopback interface. Such nodes listen on QUIC too.
	Host func(node int) string
	// Fronts is where others reach a node, where that is not where it listens; nil: there.
	Fronts func(node int, listens Places) (Places, error)
}

// Places are where a node listens, or where others reach it: host:port each.
type Places struct {
	TCP, QUIC string // QUIC is empty where it does not listen for it
	Ledger    string
}

// Default is seven nodes with 28 shards, half a second a block, ten minutes an epoch.
func Default() Options {
	return Options{Dir: "walrus-testnet", Nodes: 7, Shards: 28, Block: 500 * time.Millisecond, Epoch: 10 * time.Minute}
}

// Money of a testnet: enough never to think of it.
const (
	walletMoney = 10_000_000 * token.WAL
	nodeBond    = 100_000 * token.WAL
	subsidyFund = 1_000_000 * token.WAL // out of which Params.Subsidy is paid each epoch
	nodeKiB     = 64 << 20              // 64 GiB declared each; the disk is shared anyway
	// trustPeriod is long: a developer with a testnet trusts the machine it runs on.
	trustPeriod = 90 * 24 * time.Hour
)

// Testnet is a network of processes in a directory.
type Testnet struct {
	Dir     string
	Network client.Network
	Wallet  token.Key // funded at genesis
	Nodes   int
	command Command
}

// Command is how a node's process is started: the program and what must be in its
// environment. The words `node run --dir DIR` follow, for an adversary
// `testnet node --dir DIR --adversary WORDS`.
type Command struct {
	Program string
	Env     []string
}

// Self starts nodes with the program that is running.
func Self() (Command, error) {
	program, err := os.Executable()
	return Command{Program: program}, err
}

// Create lays out a new testnet. Nothing runs yet.
func Create(o Options, c Command) (*Testnet, error) {
	params, err := o.params()
	if err != nil {
		return nil, err
	}
	dir, err := realDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	free, err := holdDir(dir)
	if err != nil {
		return nil, err
	}
	defer free()
	if _, err := os.Stat(filepath.Join(dir, networkName)); err == nil {
		return nil, fmt.Errorf("%s: %w: walrus testnet down --dir %s ends it, --wipe with it removes it", dir, ErrExists, o.Dir)
	}
	t := &Testnet{Dir: dir, Nodes: o.Nodes, command: c}
	if err := t.halfMade(); err != nil {
		return nil, err
	}
	g := ledger.Genesis{Name: "testnet", Time: time.Now().UnixMilli(), Params: params, Subsidy: subsidyFund,
		Accounts: append([]ledger.GenesisAccount{{Address: t.Wallet.Address(), Amount: walletMoney}}, o.Accounts...)}
	ports, err := port.Testnets.Free(2 * o.Nodes)
	if err != nil {
		return nil, err
	}
	for i := range o.Nodes {
		n, err := t.layNode(o, i, g.Name, ports[2*i], ports[2*i+1])
		if err != nil {
			return nil, err
		}
		g.Nodes = append(g.Nodes, n)
		t.Network.Bootstrap = append(t.Network.Bootstrap, n.Addresses...)
	}
	t.Network.Genesis, t.Network.TrustPeriod = g, trustPeriod
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if err := t.layAdversaries(o.Adversaries); err != nil {
		return nil, err
	}
	// The commit point: without this file no testnet lies here, whatever else does.
	return t, t.Network.Save(t.NetworkFile())
}

func (o Options) params() (ledger.Params, error) {
	p := ledger.Testnet()
	p.Shards, p.BlockMs = o.Shards, uint64(o.Block.Milliseconds())
	if p.BlockMs == 0 || o.Epoch < o.Block {
		return p, fmt.Errorf("blocks of %s, epochs of %s: an epoch holds many blocks of at least a millisecond", o.Block, o.Epoch)
	}
	p.RoundsPerEpoch, p.RoundBlocks, p.Challenged = 1, uint64(o.Epoch/o.Block), false
	for n := uint64(10); n > 0 && !p.Challenged; n-- {
		p.RoundsPerEpoch, p.RoundBlocks, p.Challenged = o.rounds(n)
	}
	if p.Challenged {
		p.Challenge, _ = challenge.Fitting(p.RoundBlocks)
	}
	if o.Difference != nil {
		o.Difference(&p)
	}
	if o.Nodes < 4 || o.Nodes > o.Shards {
		return p, fmt.Errorf("%d nodes for %d shards: at least 4, at most one a shard", o.Nodes, o.Shards)
	}
	if len(o.Adversaries) > 0 && !p.Challenged {
		return p, fmt.Errorf("epochs of %s with blocks of %s are too short for challenges, and no adversary would be noticed: make the epochs longer", o.Epoch, o.Block)
	}
	return p, p.Validate()
}

// proofTime is what nodes that share a machine get at least to prove what they hold.
const proofTime = 3 * time.Second

// rounds divides an epoch into so many, if it divides and there is time in each to
// prove something.
func (o Options) rounds(n uint64) (rounds, blocks uint64, challenged bool) {
	all := uint64(o.Epoch / o.Block)
	p, ok := challenge.Fitting(all / n)
	if all%n != 0 || !ok || p.ValidateEpoch(n) != nil || time.Duration(p.Deadline)*o.Block < proofTime {
		return 1, all, false
	}
	return n, all / n, true
}

// layNode makes a node's directory and its entry in the genesis.
func (t *Testnet) layNode(o Options, i int, chain string, port, ledgerPort int) (ledger.GenesisNode, error) {
	dir := t.NodeDir(i)
	secret, err := node.EnsureSecret(dir)
	if err != nil {
		return ledger.GenesisNode{}, err
	}
	id, bls := staking.NodeID(secret.Key().Public()), secret.BLSKey()
	host := "127.0.0.1"
	if o.Host != nil {
		host = o.Host(i)
	}
	at := net.JoinHostPort(host, strconv.Itoa(port))
	listens := Places{TCP: at, Ledger: net.JoinHostPort(host, strconv.Itoa(ledgerPort))}
	if o.Host != nil {
		listens.QUIC = at
	}
	reached := listens
	if o.Fronts != nil {
		if reached, err = o.Fronts(i, listens); err != nil {
			return ledger.GenesisNode{}, err
		}
	}
	var addresses []string
	for _, a := range reached.multiaddrs() {
		addresses = append(addresses, a+"/p2p/"+id.String())
	}
	file := node.File{Network: filepath.Join("..", "..", networkName), Listen: listens.multiaddrs(), LedgerListen: listens.Ledger, LogLevel: "info"}
	if reached.Ledger != listens.Ledger {
		file.LedgerAddress = reached.Ledger
	}
	if err := file.Save(dir); err != nil {
		return ledger.GenesisNode{}, err
	}
	return ledger.GenesisNode{
		ID: id, Operator: t.Wallet.Address(), BLS: bls.Public(),
		BLSProof:  bls.ProvePossession(ledger.BLSProofMessage(chain, id, bls.Public())),
		Addresses: addresses, Comet: reached.Ledger,
		Name: "node-" + strconv.Itoa(i), CapacityKiB: nodeKiB, Bond: nodeBond,
	}, nil
}

// multiaddrs is the addresses that libp2p listens on, or is dialed at.
func (p Places) multiaddrs() (out []string) {
	multiaddr := func(at, transport, ending string) {
		if host, port, err := net.SplitHostPort(at); err == nil {
			out = append(out, "/ip4/"+host+"/"+transport+"/"+port+ending)
		}
	}
	multiaddr(p.TCP, "tcp", "")
	multiaddr(p.QUIC, "udp", "/quic-v1")
	return out
}

// Open finds the testnet in dir.
func Open(dir string, c Command) (*Testnet, error) {
	abs, err := realDir(dir)
	if err != nil {
		return nil, err
	}
	t := &Testnet{Dir: abs, command: c}
	if t.Network, err = client.LoadNetwork(t.NetworkFile()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w: start one with walrus testnet up --dir %s", abs, ErrNone, dir)
		}
		return nil, err
	}
	t.Nodes = len(t.Network.Genesis.Nodes)
	t.Wallet, err = loadWallet(t.WalletFile())
	return t, err
}

// NetworkFile is the path of network.toml.
func (t *Testnet) NetworkFile() string { return filepath.Join(t.Dir, networkName) }

// WalletFile is the path of the funded wallet.
func (t *Testnet) WalletFile() string { return filepath.Join(t.Dir, walletName) }

// NodeDir is the directory of node i, counted from 0.
func (t *Testnet) NodeDir(i int) string { return filepath.Join(t.Dir, nodesName, strconv.Itoa(i)) }

// logFile is where node i writes its log.
func (t *Testnet) logFile(i int) string { return filepath.Join(t.NodeDir(i), logName) }
