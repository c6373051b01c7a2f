package comet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/proxy"
	sm "github.com/cometbft/cometbft/state"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/ledger/snapshot"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ErrFailed is returned where a node cannot take part in the ledger any more.
var ErrFailed = errors.New("the ledger cannot go on here")

// Options are the settings of a chain's node.
type Options struct {
	Dir     string // of the ledger; wiping it loses nothing that others do not have
	KeyDir  string // of what was signed last
	Genesis ledger.Genesis
	Key     token.Key
	BLS     token.BLSKey // signs this node's part of each round's draw
	Listen  string       // host:port of CometBFT's transport
	// Peers gives the peers to be connected to now: called every second or so.
	Peers    func() []Peer
	Waiting  int      // transactions that may wait for a block; 0: 10,000
	Attester Attester // nil: this node listens to no challenge
	// Urgent gives transactions that go first into a block that this node proposes,
	// whatever waits before them: what is late is as good as lost. Nil: there are none.
	Urgent func() [][]byte
	// Choose lets a proposer try to steer the draw, to see that it cannot; nil: an honest
	// one. Other validators judge its blocks as any other's.
	Choose func(ProposerView) Choice
	Log    *slog.Logger // nil: silent
	// CountLoopback counts loopback addresses as any others where peers of one network of
	// addresses are bounded.
	CountLoopback bool
	// Hurry is closed when closing must not wait for room on the disk; see kv.Options.
	Hurry <-chan struct{}
	// KeepBlocks is how many blocks stay: KeepAll, or a number from LeastBlocks on; 0:
	// DefaultBlocks.
	KeepBlocks int64
	// Asker asks other nodes for headers from before the ledger's snapshot, which evidence is
	// checked with; nil: none is asked.
	Asker light.Asker
	// Newest is the height of the newest block that other nodes prove. It is asked for where
	// peers claim to be far ahead. Nil: the chain does not find out that it is far behind.
	Newest func(ctx context.Context) (int64, error)

	wrap      func(*app) abci.Application // puts something between CometBFT and the app; nil: nothing
	keepFewer bool                        // KeepBlocks may be any number
	far       int64                       // blocks behind that are far; 0: farBehind
}

// Peer is where a node's CometBFT listens.
type Peer struct {
	Key  token.PublicKey
	Addr string // host:port
}

// Chain is the ledger as agreed on by all: a node of CometBFT and the state machine
// it drives.
type Chain struct {
	options Options
	db      *kv.DB
	machine *ledger.Machine
	app     *app
	guard   *guard
	node    *node.Node
	states  sm.Store

	agreement *consensus.State // of node
	offenders offenders
	awaiting  waits
	gossip    *gossip
	sw        *p2p.Switch // of node
	peers     *peers
	snapshots *snapshot.Server
	keeper    *headerKeeper

	failed chan struct{} // closed when why is set
	once   sync.Once
	why    error // the first reason for which the chain cannot go on
}

// Open opens the ledger's database and prepares the node; Run starts it.
func Open(o Options) (opened *Chain, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Chain{options: o, offenders: offenders{now: time.Now}, awaiting: make(waits, maxAwaiting), failed: make(chan struct{})}
	if err := os.MkdirAll(filepath.Join(o.Dir, "comet"), 0o700); err != nil {
		return nil, fmt.Errorf("ledger: %w", c.explain(err))
	}
	if c.db, err = kv.Open(kv.Options{Dir: filepath.Join(o.Dir, dbDir), Profile: kv.Small, ReserveFree: ledgerReserve, Logger: o.Log, Hurry: o.Hurry}); err != nil {
		return nil, fmt.Errorf("ledger: %w", c.explain(err))
	}
	db := c.db // an error returns no chain
	defer func() {
		if err != nil {
			if c.app != nil {
				c.app.extender.wait()
			}
			db.Close()
		}
	}()
	newLedger, err := stateDisk{c.db}.empty()
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	c.states = sm.NewStore(newCometDisk(c.db, "state", c.diskFailed), sm.StoreOptions{DiscardABCIResponses: true})
	if err := c.ownLedger(newLedger); err != nil {
		return nil, err
	}
	if c.keeper, err = newHeaderKeeper(c.db, c.states, o); err != nil {
		return nil, err
	}
	if c.machine, err = ledger.NewMachine(o.Genesis, stateDisk{c.db}); err != nil {
		return nil, fmt.Errorf("ledger: %w", c.explain(err))
	}
	c.app = newApp(c.machine, o, c.appFailed)
	c.app.retain = c.keeper.retain
	c.app.self = staking.NodeID(o.Key.Public())
	c.peers = newPeers(func() *ledger.Machine { return c.machine }, o.CountLoopback)
	c.app.knocks = c.peers.knocks
	if c.guard, err = newGuard(o.Key, o.KeyDir, newLedger); err != nil {
		return nil, fmt.Errorf("ledger: %w", c.explain(err))
	}
	err = c.guarded("open", func() (err error) {
		if err := c.begun(); err != nil {
			return err
		}
		c.node, err = c.newNode()
		return err
	})
	if err == nil {
		c.app.catchingUp = func() bool { return !c.AtTip() }
		c.app.hadTheTurn = c.hadTheTurn
		c.agreement, err = agreementOf(c.node)
	}
	if err == nil && o.Asker != nil {
		err = c.lookBack()
	}
	if err == nil {
		c.snapshots = snapshot.NewServer(o.Dir, c.machine, c.node.BlockStore().Base, c.turns, o.Log)
		c.gossip = newGossip(c.agreement, c.gossipBroke, c.node.BlockStore(), c.node.EventBus(), o.Genesis.Params.Challenged, ed25519.PubKey(c.app.self[:]).Address())
		c.sw, err = newGate(c.peers, c.gossip, func() int64 { return int64(c.machine.Height()) }).guardReactors(c.node)
	}
	return c, err
}

// guarded calls into CometBFT, which panics on what it finds on a disk, and says
// what to do when it fails.
func (c *Chain) guarded(act string, call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("ledger: %s CometBFT: %w: %w", act, ErrFailed, c.explain(fmt.Errorf("%v", r)))
		}
	}()
	if err := call(); err != nil {
		if old := c.outdated(); old != nil { // it replays blocks when it opens
			return old
		}
		return fmt.Errorf("ledger: %s CometBFT: %w: %w", act, ErrFailed, c.explain(err))
	}
	return nil
}

func (c *Chain) newNode() (*node.Node, error) {
	genesis := ledgerGenesis{c.options.Genesis}
	var app abci.Application = c.app
	if c.options.wrap != nil {
		app = c.options.wrap(c.app)
	}
	key := ed25519.PrivKey(c.options.Key.Ed25519())
	return node.NewNode(c.config(), c.guard, &p2p.NodeKey{PrivKey: key},
		proxy.NewConnSyncLocalClientCreator(app),
		genesis.doc,
		func(ctx *cfg.DBContext) (dbm.DB, error) { return newCometDisk(c.db, ctx.ID, c.diskFailed), nil },
		node.DefaultMetricsProvider(&cfg.InstrumentationConfig{}),
		logger{c.options.Log, c.consensusFailed})
}

// config is CometBFT's settings for this use; the reasons stand beside each.
func (c *Chain) config() *cfg.Config {
	p := c.options.Genesis.Params
	block := time.Duration(p.BlockMs) * time.Millisecond
	o := cfg.DefaultConfig()
	o.SetRoot(filepath.Join(c.options.Dir, "comet"))
	o.Moniker = "walrus"
	o.RPC.ListenAddress = "" // the ledger protocol is the door
	o.TxIndex.Indexer = "null"
	o.Storage.DiscardABCIResponses = true

	o.P2P.ListenAddress = "tcp://" + c.options.Listen
	o.P2P.PexReactor = false // peers come from the DHT, the hello protocol and the ledger
	o.P2P.AddrBookStrict = false
	o.P2P.AddrBook = "addrbook.json"
	o.P2P.AllowDuplicateIP = true // several nodes behind one router, or on one machine
	// peers decides which of them have a place: before the handshake by address, and
	// after it by name.
	o.FilterPeers = true
	o.P2P.MaxNumInboundPeers, o.P2P.MaxNumOutboundPeers = maxConnections, maxConnections
	o.P2P.SendRate, o.P2P.RecvRate = 50<<20, 50<<20
	o.P2P.MaxPacketMsgPayloadSize = 16 << 10
	o.P2P.DialTimeout, o.P2P.HandshakeTimeout = 2*time.Second, 2*time.Second // ending waits for them

	o.Mempool.Recheck = true // what a block has made impossible leaves at once
	o.Mempool.Size, o.Mempool.CacheSize = cmp.Or(c.options.Waiting, 10_000), 100_000
	o.Mempool.MaxTxBytes = int(p.LargestTx())
	o.Mempool.MaxTxsBytes = 64 << 20

	o.Consensus.WalPath = logDir + "/" + logName
	o.Consensus.TimeoutCommit = light.BlockPause(p)
	// Paid whenever a dead proposer's turn comes: the proposal that does not arrive,
	// then the round that ends without a block.
	o.Consensus.TimeoutPropose = max(block, 600*time.Millisecond)
	o.Consensus.TimeoutPrevote = max(block/2, 250*time.Millisecond)
	o.Consensus.TimeoutPrecommit = o.Consensus.TimeoutPrevote
	o.Consensus.TimeoutProposeDelta, o.Consensus.TimeoutPrevoteDelta, o.Consensus.TimeoutPrecommitDelta = block/5, block/5, block/5
	return o
}

// consensusFailed is told why consensus is dead: the process lives on, and must not.
// It says whether that is a fault: an outdated program stops it on purpose.
func (c *Chain) consensusFailed(why string) bool {
	c.fail(fmt.Errorf("ledger: %w: consensus has failed: %w", ErrFailed, c.explain(errors.New(why))))
	return c.outdated() == nil
}

// appFailed is told why the state machine cannot go on.
func (c *Chain) appFailed(err error) {
	if !errors.Is(err, ledger.ErrRules) { // that is no fault
		err = fmt.Errorf("ledger: %w: %w", ErrFailed, c.explain(err))
	}
	c.fail(err)
}

// gossipBroke is told of a panic by the goroutine that has it.
func (c *Chain) gossipBroke(broke any) {
	c.options.Log.Error("the agreement's gossip broke", "err", broke, "stack", string(debug.Stack()))
	c.consensusFailed(fmt.Sprint(broke))
}

// diskFailed is told what a store of CometBFT could not read or write. A write that
// failed ends the chain, wherever CometBFT would leave it. A read that failed is told by
// its reader, but for block sync, which would end the process.
func (c *Chain) diskFailed(wrote bool, err error) {
	syncing := inBlockSync()
	if wrote || syncing {
		c.fail(fmt.Errorf("ledger: %w: %w", ErrFailed, c.explain(err)))
	}
	if syncing {
		runtime.Goexit() // as app.broken
	}
}

// inBlockSync says whether this goroutine is the one in which CometBFT applies the blocks
// that it catches up by. It panics on any failure there, which no caller can guard. The
// agreement, which that goroutine starts once it has caught up, is another matter.
func inBlockSync() bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		switch {
		case strings.HasSuffix(f.Function, "consensus.(*Reactor).SwitchToConsensus"):
			return false
		case strings.HasSuffix(f.Function, "blocksync.(*Reactor).poolRoutine"):
			return true
		case !more:
			return false
		}
	}
}

// fail keeps the first reason why the chain cannot go on.
func (c *Chain) fail(err error) {
	c.once.Do(func() {
		c.why = err
		close(c.failed)
	})
}

// reason is why the chain cannot go on; nil while it can.
func (c *Chain) reason() error {
	select {
	case <-c.failed:
		return c.why
	default:
		return nil
	}
}

// outdated is the reason if the network follows rules that this program does not know.
// Nothing is broken then, and no directory is to be moved away.
func (c *Chain) outdated() error {
	if err := c.reason(); errors.Is(err, ledger.ErrRules) {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// lingering is how many blocks' time a node that stops for newer rules still hands on the
// parts of its last block and the votes for it: a node that lacks them would wait in vain
// among nodes that have stopped.
const lingering = 10

// Run takes part in the chain until ctx ends or the chain fails here, or is far behind: see
// ErrBehind. The database
// is closed when it returns.
func (c *Chain) Run(ctx context.Context) error {
	if err := c.guarded("start", c.node.Start); err != nil {
		c.snapshots.Close()
		return errors.Join(err, c.db.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.dialAlways(ctx) })
	wg.Go(func() { c.gossip.run(ctx) })
	wg.Go(func() { c.trimAlways(ctx) })
	behind := make(chan error, 1)
	wg.Go(func() { behind <- c.watchBehind(ctx) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-behind:
	case <-c.failed:
		if err = c.outdated(); err != nil {
			sleep(ctx, lingering*time.Duration(c.options.Genesis.Params.BlockMs)*time.Millisecond)
		} else {
			err = c.why
		}
	}
	cancel()
	stopped := c.guarded("stop", c.stop)
	wg.Wait() // dials end with the switch, or with their own time
	if stopped == nil {
		c.node.Wait()
		c.gossip.end()
	}
	c.app.extender.wait()
	c.snapshots.Close()
	if err == nil {
		err = stopped
	}
	return errors.Join(err, c.db.Close())
}

// stop ends catching up before all else. CometBFT itself lets its peers go first: a
// block whose giver has gone is taken away, between the check of it and its being
// applied too, and catching up meets nothing where the block was. Nor may catching up
// hand over to a consensus that was stopped meanwhile.
func (c *Chain) stop() error {
	if sw, ok := c.node.Switch().(*p2p.Switch); ok {
		if r, ok := sw.Reactor("BLOCKSYNC"); ok && r.IsRunning() {
			_ = r.Stop() // an error says that it had stopped
		}
	}
	return c.node.Stop()
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Connected is how many nodes the ledger is connected to.
func (c *Chain) Connected() int {
	sw, ok := c.node.Switch().(*p2p.Switch)
	if !ok {
		return 0
	}
	return sw.Peers().Size()
}

// AtTip says whether the node has caught up with its peers.
func (c *Chain) AtTip() bool { return !c.node.ConsensusReactor().WaitSync() }

// View reads the committed state.
func (c *Chain) View(ctx context.Context) (ledger.View, error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, err
	}
	return c.machine.View()
}

// Hold is a View that stays readable until release is called.
func (c *Chain) Hold(ctx context.Context) (ledger.View, func(), error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, nil, err
	}
	return c.machine.Hold()
}

// Changed is closed when the next block was applied.
func (c *Chain) Changed() <-chan struct{} { return c.app.next() }

// BlobsSince is the blobs whose entries blocks after height wrote; see ledger.Machine.
func (c *Chain) BlobsSince(height unit.Height) ([]blob.ID, bool) { return c.machine.BlobsSince(height) }

// AppHash is the root of the newest state.
func (c *Chain) AppHash() blob.Hash { return c.machine.AppHash() }

// Machine is the state machine, for reads and proofs.
func (c *Chain) Machine() *ledger.Machine { return c.machine }
