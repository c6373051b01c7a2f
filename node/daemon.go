package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
)

// memoryLimit is what a node keeps below unless GOMEMLIMIT says otherwise: with
// what the kernel counts beside the heap it runs in 512 MB.
const memoryLimit = 320 << 20

// stagedCapacity bounds what strangers that have paid nothing may fill of a node that
// keeps as much as its disk takes.
const stagedCapacity = 4 << 30

// DaemonConfig is a whole node process: where it lies, where it listens, and how
// much it keeps.
type DaemonConfig struct {
	Dir           string
	Listen        []string // multiaddrs of libp2p
	LedgerListen  string   // host:port of CometBFT
	LedgerAddress string   // host:port under which others reach it; empty: LedgerListen
	Bootstrap     []string // multiaddrs ending in /p2p/<peer ID>; one suffices
	Reachable     bool     // get through the router: UPnP, relays, hole punching
	Capacity      int64    // bytes of fragments; 0: as much as the disk takes
	ScrubRate     int64    // bytes a second; 0: the store's default
	Version       string
	LooseKeys     bool // run although another user may read or write the keys
	Node          Config
	Conduct       Conduct // zero: honest
	// CountLoopback counts loopback addresses as any others where peers of one network of
	// addresses are bounded: see p2p.Config.
	CountLoopback bool
	ExitWhenFull  bool // return kv.ErrFull instead of waiting for room
	// Trust is what the ledger must lead back to where it begins with a snapshot.
	Trust light.RemoteOptions
	// KeepBlocks is how many blocks of the ledger stay; see comet.Options.
	KeepBlocks int64
	// JoinBlocks is how many blocks the ledger must lack to begin with a snapshot; 0: see
	// comet.JoinOptions.
	JoinBlocks uint64
}

// daemon is the parts of a node process.
type daemon struct {
	config  DaemonConfig
	genesis ledger.Genesis
	behind  bool // the ledger was found to be far behind
	secret  token.Secret
	store   *store.Store
	chain   *comet.Chain
	host    *p2p.Host
	node    *Node
	hurry   <-chan struct{} // closed when closing must not wait for room any more
}

// RunDaemon runs a node's process until ctx ends or a part of it fails. It holds the
// directory and answers its operator all the time. A full disk does not end it: the node
// stops in order while there is room for that, and opens again when there is more.
func RunDaemon(ctx context.Context, c DaemonConfig, g ledger.Genesis, log *slog.Logger) error {
	lock, err := Hold(c.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	s := newSocket(func() string { return opens })
	// The operator is answered until the node has closed.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serve(serving, c.Dir, log) })
	group.Go(func() error {
		defer stop()
		return runAlways(ctx, c, g, s, log)
	})
	return group.Wait()
}

// What the operator is told while a node opens and closes.
const (
	opens  = "it opens: ask again in a moment"
	joins  = "it fetches a snapshot of the ledger"
	closes = "it stops"
)

// runAlways runs a node, and again whenever its disk was full and has room.
func runAlways(ctx context.Context, c DaemonConfig, g ledger.Genesis, s *socket, log *slog.Logger) error {
	behind := false
	for after, hasty := false, false; ; after = true {
		err := awaitRoom(ctx, c, s, after, hasty, log)
		if err != nil || ctx.Err() != nil {
			return err
		}
		began := time.Now()
		err = runOnce(ctx, c, g, s, behind, log)
		hasty = time.Since(began) < roomPause
		if behind = errors.Is(err, comet.ErrBehind) && ctx.Err() == nil; behind {
			log.Warn("the node opens its ledger again, to fetch many blocks at a time", "why", err)
			after = false
			continue
		}
		if !errors.Is(err, kv.ErrFull) || ctx.Err() != nil || c.ExitWhenFull {
			return err
		}
		log.Error("the node has stopped in order: its disk is full", "err", err)
	}
}

// runOnce runs a node from opening to closing.
func runOnce(ctx context.Context, c DaemonConfig, g ledger.Genesis, s *socket, behind bool, log *slog.Logger) error {
	// Other programs fill the same disk at any moment: what closing waits for is looked at
	// whenever the operator asks.
	closing := roomOr(c.Dir, kv.CloseRoom, closes)
	d := &daemon{config: c, genesis: g, behind: behind, hurry: ctx.Done()}
	s.explain(roomOr(c.Dir, kv.CloseRoom, opens))
	if err := d.open(ctx, g, s, log); err != nil {
		s.explain(closing)
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			err = nil
		}
		return errors.Join(err, d.close())
	}
	log.Info("node starts", "node", d.node.ID(), "chain", g.ChainID(), "addresses", d.host.Addrs(), "memory_limit", debug.SetMemoryLimit(-1), "height", d.chain.Machine().Height())
	s.answer(d.node.operatorHandler())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.chain.Run(ctx) })
	group.Go(func() error { return d.node.Run(ctx) })
	group.Go(func() error { return watchRoom(ctx, c.Dir) })
	group.Go(func() error {
		<-ctx.Done()
		s.explain(closing)
		if text := roomMissing(c.Dir, kv.CloseRoom); text != "" {
			log.Error("the node stops, and waits for the room that closing needs", "why", text)
		}
		return nil
	})
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	log.Info("node stops", "node", d.node.ID())
	return errors.Join(err, d.close())
}

func (d *daemon) open(ctx context.Context, g ledger.Genesis, s *socket, log *slog.Logger) (err error) {
	c := d.config
	if d.secret, err = loadSecret(c.Dir, c.LooseKeys); err != nil {
		return err
	}
	key := d.secret.Key()
	options := store.Options{Dir: filepath.Join(c.Dir, FragmentsDir), Capacity: c.Capacity, ScrubRate: c.ScrubRate, Logger: log, Hurry: d.hurry}
	if c.Capacity == 0 {
		options.StagedCapacity = stagedCapacity
	}
	if d.store, err = store.Open(options); err != nil {
		return fmt.Errorf("fragments: %w", err)
	}
	address := c.LedgerAddress
	if address == "" {
		address = c.LedgerListen
	}
	d.host, err = p2p.New(p2p.Config{Key: key.Ed25519(), Listen: c.Listen, Bootstrap: c.Bootstrap, Reachable: c.Reachable, CountLoopback: c.CountLoopback, Log: log,
		Hello: p2p.Hello{Chain: string(g.ChainID()), Version: c.Version, Ledger: address}})
	if err != nil {
		return err
	}
	if err := d.join(ctx, g, s, log); err != nil {
		return err
	}
	d.chain, err = comet.Open(comet.Options{Dir: filepath.Join(c.Dir, LedgerDir), KeyDir: filepath.Join(c.Dir, KeysDir),
		Genesis: g, Key: key, BLS: d.secret.BLSKey(), Listen: c.LedgerListen, Peers: d.peers, Attester: d, Urgent: d.urgent, Choose: c.Conduct.Choose, CountLoopback: c.CountLoopback, KeepBlocks: c.KeepBlocks, Asker: d.host, Newest: d.newest, Log: log, Hurry: d.hurry})
	if err != nil {
		return err
	}
	d.host.ServeLedger(d.chain.Oracle())
	c.Node.ProofsDir = filepath.Join(c.Dir, ProofsDir)
	d.node = New(c.Node, d.secret, g.ChainID(), d.host, d.store, d.chain, log)
	d.node.Behave(c.Conduct)
	return nil
}

// join lets the ledger begin with a snapshot where that is quicker than its blocks, or the
// only way. Where it fails, blocks may still lead to the tip.
func (d *daemon) join(ctx context.Context, g ledger.Genesis, s *socket, log *slog.Logger) error {
	s.explain(roomOr(d.config.Dir, kv.CloseRoom, joins))
	defer s.explain(roomOr(d.config.Dir, kv.CloseRoom, opens))
	_, err := comet.Join(ctx, comet.JoinOptions{Dir: filepath.Join(d.config.Dir, LedgerDir), Genesis: g, Host: d.host, Trust: d.config.Trust, Behind: d.behind,
		Least: d.config.JoinBlocks, Log: log, Hurry: d.hurry})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, kv.ErrFull):
		return err
	case err != nil:
		log.Warn("the ledger could not begin with a snapshot; its blocks are fetched instead, as far as nodes have them", "err", err)
	}
	return nil
}

// newest is the height of the newest block that other nodes prove, to a node that has
// verified its own blocks.
func (d *daemon) newest(ctx context.Context) (int64, error) {
	trust := d.config.Trust
	period := cmp.Or(trust.TrustPeriod, light.TrustPeriod(d.genesis.Params))
	if own, at, err := d.chain.NewestBlock(); err == nil && time.Since(at) < period {
		trust.Checkpoint = &own
	}
	b, err := light.NewRemote(d.host, d.genesis, trust).Newest(ctx)
	if err != nil {
		return 0, err
	}
	return b.Height, nil
}

// Attest is the node's attestation of a round. The ledger asks once it runs, and then the
// node is there.
func (d *daemon) Attest(r challenge.RoundID) (listened bool, own blob.Hash, yes blob.ShardSet) {
	return d.node.rounds.Attest(r)
}

// urgent lists the transactions that go first into a block that this node proposes.
func (d *daemon) urgent() [][]byte { return d.node.rounds.Urgent() }

// close closes what was opened. The chain closes its own database.
func (d *daemon) close() error {
	var errs []error
	if d.host != nil {
		errs = append(errs, d.host.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	return errors.Join(errs...)
}
