package comet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/ledger/snapshot"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// joinBlocks is how many blocks a ledger must lack for a snapshot to be quicker.
const joinBlocks = 5000

// JoinOptions say whose ledger is fetched, and what is trusted for it.
type JoinOptions struct {
	Dir     string // of the ledger
	Genesis ledger.Genesis
	Host    light.Asker
	Trust   light.RemoteOptions // what the newest header must lead back to
	// Behind says that the ledger in Dir was found to be behind, and may be replaced. Without
	// it only a ledger that is not there is fetched.
	Behind bool
	// Least is how many blocks the ledger must lack; 0: joinBlocks. Where no node has the next
	// block any more, it does not count.
	Least uint64
	Log   *slog.Logger
	Hurry <-chan struct{} // see Options
}

// Parts of a ledger's directory.
const (
	dbDir    = "db"
	joinDir  = "join"     // a snapshot that is being fetched, with a database of its own
	wholeDoc = "complete" // in joinDir: the database there is whole
)

const historyBatch = 256 << 10 // bytes of headers that are written together

// Attempts to fetch a snapshot before the node goes on without.
const (
	joinAttempts = 4
	joinPause    = 3 * time.Second
)

// Join fetches a snapshot of the ledger where that is quicker than its blocks, or the only
// way left, and puts it into the ledger's directory. Call it before Open. What is trusted
// proves all of it. A process that ends meanwhile leaves what the next one goes on with.
func Join(ctx context.Context, o JoinOptions) (joined bool, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j := joiner{JoinOptions: o, least: int64(cmp.Or(o.Least, joinBlocks))}
	if err := j.swap(); err != nil {
		return false, fmt.Errorf("ledger: put the fetched ledger in its place: %w", err)
	}
	if err := j.readOwn(); err != nil {
		return false, err
	}
	if j.there && !o.Behind {
		return false, j.dropOld()
	}
	// A young chain has too few blocks: nothing need be asked.
	if age := time.Since(time.UnixMilli(o.Genesis.Time)); age < time.Duration(j.least)*light.BlockPause(o.Genesis.Params) {
		return false, nil
	}
	for attempt := range joinAttempts {
		if attempt > 0 && !sleep(ctx, joinPause) {
			return false, ctx.Err()
		}
		if attempt > 1 && !j.answered {
			break // the network may be about to begin
		}
		if joined, err = j.try(ctx); joined || err == nil || ctx.Err() != nil || errors.Is(err, light.ErrExpired) {
			break
		}
	}
	return joined, err
}

type joiner struct {
	JoinOptions
	least    int64
	there    bool             // a ledger is in the directory
	own      light.Checkpoint // its newest block; height 0: none
	at       time.Time        // of that block
	remote   *light.Remote
	answered bool // a node has offered a snapshot
}

func (j *joiner) path(parts ...string) string {
	return filepath.Join(append([]string{j.Dir}, parts...)...)
}

// swap puts a whole snapshot in the place of the ledger. It may be cut off anywhere, and
// called again.
func (j *joiner) swap() error {
	if _, err := os.Stat(j.path(joinDir, wholeDoc)); err != nil {
		return nil // none, or not whole
	}
	if _, err := os.Stat(j.path(joinDir, dbDir)); err == nil {
		// CometBFT's log belongs to the ledger that goes.
		if err := errors.Join(os.RemoveAll(j.path("comet", logDir)), os.RemoveAll(j.path(dbDir))); err != nil {
			return err
		}
		if err := os.Rename(j.path(joinDir, dbDir), j.path(dbDir)); err != nil {
			return err
		}
		if err := syncDir(j.Dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(j.path(joinDir))
}

// staleJoin is how long what was fetched of a snapshot stays beside a ledger that goes on by
// blocks: within that time the node may find that it is far behind, and fetch the rest.
const staleJoin = 24 * time.Hour

// dropOld removes what a fetch has left that came to nothing: it may be as large as the
// ledger.
func (j *joiner) dropOld() error {
	at, err := os.Stat(j.path(joinDir, dbDir))
	if err != nil || time.Since(at.ModTime()) < staleJoin {
		return nil
	}
	return os.RemoveAll(j.path(joinDir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readOwn finds the newest block of the ledger that is there.
func (j *joiner) readOwn() error {
	if _, err := os.Stat(j.path(dbDir)); err != nil {
		return nil
	}
	if j.there = true; !j.Behind {
		return nil
	}
	db, err := kv.Open(kv.Options{Dir: j.path(dbDir), Profile: kv.Small, ReserveFree: ledgerReserve, Logger: j.Log, Hurry: j.Hurry})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer db.Close()
	blocks := store.NewBlockStore(newCometDisk(db, "blockstore", nil))
	if meta := blocks.LoadBlockMeta(blocks.Height()); meta != nil {
		j.own, j.at = light.Checkpoint{Height: meta.Header.Height, Hash: blob.Hash(meta.BlockID.Hash)}, meta.Header.Time
	}
	return nil
}

// network is the nodes that give snapshots.
func (j *joiner) network() snapshot.Network {
	return snapshot.Network{Ask: j.Host.AskLedger, Peers: j.remote.Nodes, Blame: j.Host.Blame, Log: j.Log}
}

// try is one attempt.
func (j *joiner) try(ctx context.Context) (bool, error) {
	trust := j.Trust
	period := cmp.Or(trust.TrustPeriod, light.TrustPeriod(j.Genesis.Params))
	if j.own.Height > 0 && time.Since(j.at) < period && (trust.Checkpoint == nil || trust.Checkpoint.Height < j.own.Height) {
		trust.Checkpoint, trust.Kept = &j.own, nil // this node has verified it itself
	}
	j.remote = light.NewRemote(j.Host, j.Genesis, trust)
	n := j.network()
	offers, blocks := n.Offers(ctx), false
	for _, o := range offers {
		blocks = blocks || o.Base <= unit.Height(j.own.Height+1)
	}
	if len(offers) == 0 {
		return false, fmt.Errorf("ledger: %w", snapshot.ErrNoNode)
	}
	j.answered = true
	for p, o := range offers {
		if gap := int64(o.Height) - j.own.Height; o.Height > 1<<62 || gap < j.least && (gap <= 0 || blocks) {
			delete(offers, p)
		}
	}
	var failures error
	list, err := j.prove(ctx, offers)
	if failures = err; err != nil && errors.Is(err, light.ErrExpired) && blocks {
		return false, err
	}
	for _, of := range list {
		err := j.fetch(ctx, n, of.headers)
		if err == nil {
			return true, nil
		}
		if failures = errors.Join(failures, err); ctx.Err() != nil {
			break
		}
	}
	return false, failures
}

// Limits of the proofs of what nodes offer, which are asked for at the same time.
const (
	proveLimit = 30 * time.Second
	proveRest  = 3 * time.Second // for the others, once one is there
)

// proven is a snapshot's height that verified headers lead to.
type proven struct {
	headers []*types.LightBlock // three, from that height on
	offers  int                 // nodes that proved it
}

// prove asks each node for the headers of the height that it offers. A node may claim any
// height: no other node is asked about it, and none waits for it.
func (j *joiner) prove(ctx context.Context, offers map[peer.ID]snapshot.Offer) (list []proven, failures error) {
	ctx, cancel := context.WithTimeout(ctx, proveLimit)
	defer cancel()
	type proof struct {
		headers []*types.LightBlock
		err     error
	}
	proofs := make(chan proof, len(offers))
	for p, o := range offers {
		go func() {
			headers, err := j.remote.HeadersOf(ctx, p, int64(o.Height), 3)
			proofs <- proof{headers, err}
		}()
	}
	by := map[int64]*proven{}
	var rest <-chan time.Time
gather:
	for range offers {
		select {
		case x := <-proofs:
			if x.err != nil {
				failures = errors.Join(failures, x.err)
				continue
			}
			h := x.headers[0].Height
			if by[h] == nil {
				by[h] = &proven{headers: x.headers}
			}
			by[h].offers++
			if rest == nil {
				rest = time.After(proveRest)
			}
		case <-rest:
			break gather
		case <-ctx.Done():
			break gather
		}
	}
	for _, of := range by {
		list = append(list, *of)
	}
	return inOrder(list), failures
}

// inOrder is the snapshots in the order in which they are tried. Old ones come last, however
// many nodes offer them; among the others that of the most nodes comes first.
func inOrder(list []proven) []proven {
	newest := int64(0)
	for _, of := range list {
		newest = max(newest, of.headers[0].Height)
	}
	slices.SortFunc(list, func(a, b proven) int {
		ha, hb := a.headers[0].Height, b.headers[0].Height
		switch oldA, oldB := ha < newest-leastBlocks, hb < newest-leastBlocks; {
		case oldA && !oldB:
			return 1
		case oldB && !oldA:
			return -1
		case oldA:
			return cmp.Compare(hb, ha)
		}
		return cmp.Or(b.offers-a.offers, cmp.Compare(hb, ha))
	})
	return list
}

// fetch gets the state of the first of three headers, and puts it in its place.
func (j *joiner) fetch(ctx context.Context, n snapshot.Network, headers []*types.LightBlock) (err error) {
	began := time.Now()
	height := headers[0].Height
	j.Log.Info("the node fetches a snapshot of the ledger", "height", height, "own_height", j.own.Height)
	if err := os.MkdirAll(j.path(joinDir), 0o700); err != nil {
		return err
	}
	db, err := kv.Open(kv.Options{Dir: j.path(joinDir, dbDir), Profile: kv.Small, ReserveFree: ledgerReserve, Logger: j.Log, Hurry: j.Hurry})
	if errors.Is(err, kv.ErrCorrupt) {
		// Nothing is lost that is not elsewhere.
		if err = os.RemoveAll(j.path(joinDir)); err == nil {
			err = fmt.Errorf("the snapshot that an earlier process has begun is damaged, and was removed: %w", snapshot.ErrNoNode)
		}
	}
	if err != nil {
		return err
	}
	g := j.Genesis
	stats, err := n.Fetch(ctx, stateDisk{db}, snapshot.Target{Height: unit.Height(height), Root: blob.Hash(headers[1].AppHash), Salt: g.Salt(), Buckets: g.Params.Buckets})
	if err == nil {
		err = j.begin(ctx, n, db, headers)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := writeSynced(j.path(joinDir, wholeDoc)); err != nil {
		return err
	}
	j.Log.Info("the node has a snapshot of the ledger", "height", height, "bytes", stats.Bytes, "keys", stats.Keys, "seconds", time.Since(began).Seconds())
	return j.swap()
}

func writeSynced(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Limits of the calls to the committee.
const (
	maxCalled = 64
	callLimit = 10 * time.Second
)

// committee is the members that sign a header, those with most power first, called where the
// fetched state says that they are: what a node is connected to before may be the members
// that want to lie to it.
func (j *joiner) committee(ctx context.Context, db *kv.DB, of *types.LightBlock) (nodes []peer.ID, err error) {
	caller, ok := j.Host.(interface {
		Connect(ctx context.Context, p peer.ID, addrs []string) error
	})
	if !ok {
		return nil, nil
	}
	m, err := ledger.NewMachine(j.Genesis, stateDisk{db})
	if err != nil {
		return nil, err
	}
	v, err := m.View()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var calls sync.WaitGroup
	defer calls.Wait()
	list := of.ValidatorSet.Validators // by power
	for _, member := range list[:min(len(list), maxCalled)] {
		id := staking.NodeID(member.PubKey.Bytes())
		p, err := p2p.PeerOf(id[:])
		if err != nil {
			continue
		}
		record, ok, err := v.Node(id)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, p)
		if !ok {
			continue
		}
		calls.Go(func() {
			if err := caller.Connect(ctx, p, record.Addresses); err != nil {
				j.Log.Debug("a member of the committee does not answer", "node", p, "err", err)
			}
		})
	}
	return nodes, nil
}

// begin lays what CometBFT needs to go on after a height: three headers from that height on
// name its committees, and all that a block takes from the one before.
func (j *joiner) begin(ctx context.Context, n snapshot.Network, db *kv.DB, headers []*types.LightBlock) error {
	g := j.Genesis
	doc, err := ledgerGenesis{g}.doc()
	if err != nil {
		return err
	}
	s, err := sm.MakeGenesisState(doc) // this chain never changes the parameters of consensus
	if err != nil {
		return err
	}
	last, now, next := headers[0], headers[1], headers[2]
	s.Version.Consensus = now.Version
	s.LastBlockHeight, s.LastBlockTime, s.LastBlockID = last.Height, last.Time, last.Commit.BlockID
	s.AppHash, s.LastResultsHash = now.AppHash, now.LastResultsHash
	nodes, err := j.committee(ctx, db, now)
	if err != nil {
		return err
	}
	for _, p := range n.Peers() {
		if !slices.Contains(nodes, p) {
			nodes = append(nodes, p)
		}
	}
	committees, err := chooseTurns(n.Turns(ctx, nodes, unit.Height(last.Height)), headers[1:])
	if err != nil {
		return err
	}
	s.LastValidators, s.Validators, s.NextValidators = last.ValidatorSet, committees[0], committees[1]
	s.LastHeightValidatorsChanged, s.LastHeightConsensusParamsChanged = next.Height, now.Height
	b := db.Batch()
	b.Set([]byte(keyChain), []byte(g.ChainID()))
	b.Set([]byte(keyNoted), canon.Encode(noted{Height: last.Height}))
	if err := b.Commit(false); err != nil {
		return err
	}
	if err := j.history(ctx, db, last); err != nil {
		return err
	}
	if err := store.NewBlockStore(newCometDisk(db, "blockstore", nil)).SaveSeenCommit(last.Height, last.Commit); err != nil {
		return err
	}
	return sm.NewStore(newCometDisk(db, "state", nil), sm.StoreOptions{DiscardABCIResponses: true}).Bootstrap(s)
}

// history fetches the headers that are kept for ever, up to one that was verified. Without
// them the node could not prove anything to a client that has the genesis only.
func (j *joiner) history(ctx context.Context, db *kv.DB, last *types.LightBlock) error {
	b := db.Batch()
	err := j.remote.History(ctx, last, func(l *types.LightBlock) error {
		if b.Bytes() > historyBatch {
			if err := b.Commit(false); err != nil {
				return err
			}
			b = db.Batch()
		}
		return setKept(b, l)
	})
	if err == nil {
		err = setKept(b, last)
	}
	if err == nil {
		err = b.Commit(false)
	}
	return err
}

// begun tells CometBFT that a ledger without blocks began with a snapshot. CometBFT forgets
// it when it opens, before the first block is there.
func (c *Chain) begun() error {
	if store.NewBlockStore(newCometDisk(c.db, "blockstore", nil)).Height() > 0 {
		return nil
	}
	s, err := c.states.Load()
	if err != nil || s.LastBlockHeight == 0 {
		return err
	}
	return c.states.SetOfflineStateSyncHeight(s.LastBlockHeight)
}
