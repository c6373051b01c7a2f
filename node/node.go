package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node/rounds"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Ledger is what a node needs of its ledger: what a client needs, and to know when
// it moved and whether it is the newest there is.
type Ledger interface {
	client.Ledger
	// Hold is a View that stays readable, while blocks go by, until release is called.
	Hold(ctx context.Context) (v ledger.View, release func(), err error)
	// Changed is closed when a block after this call was applied.
	Changed() <-chan struct{}
	// AppHash is the root of the newest state.
	AppHash() blob.Hash
	// AtTip says whether the ledger is as new as the network's, as far as it can know.
	AtTip() bool
	// BlobsSince is the blobs whose entries blocks after height wrote; ok is false
	// where that is not known.
	BlobsSince(height unit.Height) (ids []blob.ID, ok bool)
}

// Config is what an operator may choose of how a node keeps.
type Config struct {
	RepairRate   int64         // bytes a second received for repair; 0: no bound
	GarbageEvery time.Duration // between two looks for what has ended
	ProofsDir    string        // keeps the proofs of the last rounds; empty: they are in memory
}

// DefaultConfig is for a node on a home connection.
func DefaultConfig() Config { return Config{RepairRate: 64 << 20, GarbageEvery: garbageEvery} }

// Node keeps what it promised.
type Node struct {
	config  Config
	id      staking.NodeID
	key     token.Key
	bls     token.BLSKey
	chain   token.ChainID
	host    *p2p.Host
	store   *store.Store
	ledger  Ledger
	fetcher *fetch.Fetcher
	pace    pace                // of repair
	repairs *semaphore.Weighted // fragment bytes that are being rebuilt
	log     *slog.Logger

	progress progress
	incoming incoming
	intake   *semaphore.Weighted // bytes of stripes that uploads have brought
	drops    sync.RWMutex        // held for writing to drop a blob, for reading to sign for one
	pending  *pending            // of the recovery loop alone
	swept    sweep               // of the garbage loop alone
	freeze   rounds.Freeze
	rounds   *rounds.Participant
	conduct  Conduct // fixed once Run began
}

// New wires a node from its parts; it serves from Run on. The parts belong to the caller,
// which closes them after Run has returned.
func New(c Config, secret token.Secret, chain token.ChainID, host *p2p.Host, s *store.Store, l Ledger, log *slog.Logger) *Node {
	key := secret.Key()
	n := &Node{
		config: c, id: staking.NodeID(key.Public()), key: key, bls: secret.BLSKey(), chain: chain,
		host: host, store: s, ledger: l, fetcher: fetch.NewPatient(host), pace: pace{rate: newRate(c.RepairRate)}, repairs: semaphore.NewWeighted(repairBytes),
		log: log, intake: semaphore.NewWeighted(intakeBytes), pending: newPending(),
	}
	n.rounds = rounds.New(rounds.Config{Chain: chain, Key: key, Host: host, Ledger: l, Fragments: s, Freeze: &n.freeze, ProofsDir: c.ProofsDir, Log: log})
	return n
}

// ID is the node's name on the ledger.
func (n *Node) ID() staking.NodeID { return n.id }

// Run serves and repairs until ctx ends; it returns when all is still.
func (n *Node) Run(ctx context.Context) error {
	n.host.ServeFragments(n.Keeper())
	n.host.ServeDialback()
	defer n.fetcher.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.rounds.Run(ctx) })
	g.Go(func() error { return n.store.Run(ctx) })
	g.Go(func() error { return n.host.Run(ctx) })
	g.Go(func() error { return n.host.KeepReachable(ctx, n.recordedAddresses) })
	g.Go(func() error { return n.recoverAlways(ctx) })
	g.Go(func() error { return n.collectAlways(ctx) })
	g.Go(func() error { return n.watchClock(ctx) })
	g.Go(func() error { return n.watchRules(ctx) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// recordedAddresses is the addresses that the ledger has of this node.
func (n *Node) recordedAddresses() []string {
	v, err := n.ledger.View(context.Background())
	if err != nil {
		return nil // asked again later
	}
	record, _, err := v.Node(n.id)
	if err != nil {
		return nil
	}
	return record.Addresses
}

// duty is what the node must hold now.
func (n *Node) duty(ctx context.Context) (duty, error) {
	v, err := n.ledger.View(ctx)
	if err != nil {
		return duty{}, err
	}
	return dutyOf(v, n.id)
}

// Memory is what the process takes, in bytes, and what it keeps below. What the
// kernel counts beside it (mapped files) is not in it.
type Memory struct {
	Used  uint64 `json:"used"`
	Limit int64  `json:"limit"` // GOMEMLIMIT, or what the node set for itself
}

// openFiles counts the files and sockets that the process has open.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list) - 1 // one is the directory itself
}

func memoryNow() Memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Memory{Used: m.Sys - m.HeapReleased, Limit: debug.SetMemoryLimit(-1)}
}

// Status is how the node is.
type Status struct {
	ID         staking.NodeID `json:"id"`
	Chain      token.ChainID  `json:"chain"`
	Height     unit.Height    `json:"height"`
	Epoch      unit.Epoch     `json:"epoch"`
	AppHash    string         `json:"app_hash"`        // of the newest state, in hex
	Block      *Block         `json:"block,omitempty"` // newest; nil: none yet
	AtTip      bool           `json:"at_tip"`
	Halt       *comet.Halt    `json:"halt,omitempty"`   // nil: blocks come
	Rules      uint64         `json:"rules"`            // version in force
	Notice     string         `json:"notice,omitempty"` // of rules to come that this program does not know
	Shards     []blob.Shard   `json:"shards"`
	Moving     []blob.Shard   `json:"moving"` // of these: not complete yet
	Possession store.Usage    `json:"possession"`
	Recovery   Recovery       `json:"recovery"`
	Memory     Memory         `json:"memory"`
	Goroutines int            `json:"goroutines"`
	OpenFiles  int            `json:"open_files"` // sockets among them; 0: the system does not tell
	// Peers is the nodes and clients that the node is connected to.
	Peers int `json:"peers"`
	// LedgerPeers is the nodes to which its ledger is connected: over these the blocks come.
	LedgerPeers int      `json:"ledger_peers"`
	Addrs       []string `json:"addresses"`
	// Reach is how peers reach the node, as they said; empty: unknown, or not asked.
	Reach p2p.Reachability `json:"reach"`
}

// Block names a block of a node's ledger.
type Block struct {
	Height int64     `json:"height"`
	Hash   string    `json:"hash"` // hex
	Time   time.Time `json:"time"`
}

// newestBlock is nil for a ledger without blocks.
func (n *Node) newestBlock() *Block {
	l, ok := n.ledger.(interface {
		NewestBlock() (light.Checkpoint, time.Time, error)
	})
	if !ok {
		return nil
	}
	c, at, err := l.NewestBlock()
	if err != nil {
		return nil
	}
	return &Block{c.Height, c.Hash.String(), at.UTC()}
}

// halt is nil for a ledger that makes blocks, or that has no agreement.
func (n *Node) halt() *comet.Halt {
	if l, ok := n.ledger.(interface{ Halted() *comet.Halt }); ok {
		return l.Halted()
	}
	return nil
}

// ledgerPeers is 0 for a ledger that has no connections of its own.
func (n *Node) ledgerPeers() int {
	if l, ok := n.ledger.(interface{ Connected() int }); ok {
		return l.Connected()
	}
	return 0
}

// Status reads how the node is.
func (n *Node) Status(ctx context.Context) (Status, error) {
	v, err := n.ledger.View(ctx)
	if err != nil {
		return Status{}, err
	}
	head, err := v.Head()
	if err != nil {
		return Status{}, err
	}
	rules, err := v.Rules()
	if err != nil {
		return Status{}, err
	}
	d, err := dutyOf(v, n.id)
	if err != nil {
		return Status{}, err
	}
	return Status{
		Rules: rules.Version, Notice: rules.Notice(),
		ID: n.id, Chain: n.chain, Height: head.Height, Epoch: head.Epoch, AppHash: n.ledger.AppHash().String(), Block: n.newestBlock(), AtTip: n.ledger.AtTip(), Halt: n.halt(),
		Shards: d.shards, Moving: d.moving, Possession: n.store.Usage(), Recovery: n.progress.get(),
		Memory: memoryNow(), Goroutines: runtime.NumGoroutine(), OpenFiles: openFiles(), Peers: n.host.Connected(), LedgerPeers: n.ledgerPeers(), Addrs: n.host.Addrs(), Reach: n.host.Reachability(),
	}, nil
}

// Keeper is the node's answers to questions about fragments.
func (n *Node) Keeper() p2p.Keeper { return keeper{n} }
