package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// Limits of one node among those that are asked.
const (
	askLimit    = 20 * time.Second // for one answer
	inFlight    = 2                // questions to one node at the same time
	maxFailures = 5                // in a row, after which a node is not asked any more
	failPause   = time.Second
	makeLimit   = 2 * time.Minute // for a node to make the snapshot that others have
	peersEvery  = 2 * time.Second // between two looks for more nodes

	// The least that all nodes together bring: paceBytes in a paceTime. A subtree that is whole
	// counts as paceNode bytes, however few keys it has. Without it, nodes that bring a little
	// now and then would hold up the snapshots of others for ever.
	paceTime  = time.Minute
	paceBytes = 4 << 20
	paceNode  = 64 << 10

	// bucketLimit bounds the time for the leaves of a bucket that does not fit into an answer.
	// They are 64 MiB at most, and unproven until all are there: one bucket at a time.
	bucketLimit = time.Minute
)

// ErrNoNode is returned where no node gives the state of a height, or not any more. What
// was fetched serves the next attempt.
var ErrNoNode = errors.New("no node gives a snapshot of the ledger now")

// Network is the nodes that can be asked.
type Network struct {
	Ask   func(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error)
	Peers func() []peer.ID     // that can be asked now
	Blame func(peer.ID, error) // of a node whose answer is wrong
	Log   *slog.Logger
}

// Offers asks all nodes which snapshot they give.
func (n Network) Offers(ctx context.Context) map[peer.ID]Offer {
	var mu sync.Mutex // guards out
	out := map[peer.ID]Offer{}
	var asked sync.WaitGroup
	for _, p := range n.Peers() {
		asked.Go(func() {
			if o, err := n.offer(ctx, p, 0); err == nil {
				mu.Lock()
				defer mu.Unlock()
				out[p] = o
			}
		})
	}
	asked.Wait()
	return out
}

// offerLimit is for one node to say what it gives: all others are waited for as long.
const offerLimit = 10 * time.Second

func (n Network) offer(ctx context.Context, p peer.ID, want unit.Height) (o Offer, err error) {
	ctx, cancel := context.WithTimeout(ctx, offerLimit)
	defer cancel()
	raw, err := n.Ask(ctx, p, p2p.AskSnapshot, canon.Encode(offerQuestion{Want: want}))
	if err == nil {
		err = canon.Decode(raw, &o)
	}
	return o, err
}

// Turns asks nodes for the order of the turns after a height. A node that is a validator
// answers under its own name: its word has the weight that the caller gives it.
func (n Network) Turns(ctx context.Context, nodes []peer.ID, height unit.Height) map[peer.ID][][]byte {
	var mu sync.Mutex // guards out
	out := map[peer.ID][][]byte{}
	var asked sync.WaitGroup
	for _, p := range nodes {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, askLimit)
			defer cancel()
			raw, err := n.Ask(ctx, p, p2p.AskState, canon.Encode(stateQuestion{Height: height, Kind: askTurns}))
			for tries := 0; p2p.IsRefusal(err, p2p.CodeBusy) && tries < turnTries && pause(ctx, failPause); tries++ {
				raw, err = n.Ask(ctx, p, p2p.AskState, canon.Encode(stateQuestion{Height: height, Kind: askTurns}))
			}
			var a turnsAnswer
			if err == nil && canon.Decode(raw, &a) == nil {
				mu.Lock()
				defer mu.Unlock()
				out[p] = a.Committees
			}
		})
	}
	asked.Wait()
	return out
}

// turnTries is how often a node that is busy is asked for the turns again.
const turnTries = 3

// Target is a state that is known by its root, from a verified header.
type Target struct {
	Height  unit.Height
	Root    blob.Hash
	Salt    [32]byte
	Buckets int
}

// Stats is what a fetch took.
type Stats struct {
	Bytes    int64 // of answers
	Keys     int64
	Subtrees int // that were there already
}

// Fetch makes kv the state of a target, and goes on with what an earlier fetch has left
// there. It asks all nodes at once. A node whose answer is wrong is blamed and left.
func (n Network) Fetch(ctx context.Context, kv state.KV, t Target) (Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &fetch{Network: n, target: t, kv: kv, cancel: cancel, stirred: make(chan struct{}, 1), leaves: make(chan struct{}, 1)}
	defer f.working.Wait()
	defer cancel()
	err := f.run(ctx)
	return Stats{Bytes: f.bytes.Load(), Keys: f.keys.Load(), Subtrees: f.found}, err
}

type fetch struct {
	Network
	target  Target
	kv      state.KV
	cancel  func()
	working sync.WaitGroup
	bytes   atomic.Int64
	keys    atomic.Int64
	found   int
	stirred chan struct{} // has something when a node has done its part
	leaves  chan struct{} // full while leaves of a bucket are fetched
	brought atomic.Int64  // bytes, as the pace counts them

	mu       sync.Mutex // guards the fields below
	restorer *state.Restorer
	queue    *queue
	asked    map[peer.ID]bool // false: left
	failed   error            // of this machine's disk
	paced    time.Time        // when the pace was looked at last
	before   int64            // brought, until then
}

func (f *fetch) run(ctx context.Context) error {
	f.asked = map[peer.ID]bool{}
	t := time.NewTicker(peersEvery)
	defer t.Stop()
	for f.enlist(ctx); ; {
		done, left, err := f.progress()
		switch {
		case err != nil:
			return err
		case done:
			return f.restorer.Finish()
		case left == 0:
			return fmt.Errorf("height %d: %w", f.target.Height, ErrNoNode)
		}
		select {
		case <-ctx.Done():
			if err := f.diskError(); err != nil {
				return err
			}
			return ctx.Err()
		case <-f.stirred:
		case <-t.C:
			if f.crawls(time.Now()) {
				return fmt.Errorf("height %d: too little has come for %s: %w", f.target.Height, paceTime, ErrNoNode)
			}
			f.enlist(ctx)
		}
	}
}

// crawls says that all nodes together have brought too little for a while.
func (f *fetch) crawls(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queue == nil || now.Sub(f.paced) < paceTime {
		return false
	}
	all := f.brought.Load()
	slow := all-f.before < paceBytes
	f.paced, f.before = now, all
	return slow
}

// bring counts keys that came, of a node that is whole with them, or of a part of it.
func (f *fetch) bring(node uint32, items []state.Item, whole bool) {
	f.keys.Add(int64(len(items)))
	n := 0
	for _, x := range items {
		n += len(x.Key) + len(x.Value)
	}
	if whole && state.LevelOf(node) == state.TopLevel(f.target.Buckets) {
		n += paceNode
	}
	f.brought.Add(int64(n))
}

func (f *fetch) diskError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// progress says whether all is there, and how many nodes are being asked.
func (f *fetch) progress() (done bool, left int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, asked := range f.asked {
		if asked {
			left++
		}
	}
	return f.queue != nil && f.queue.empty(), left, f.failed
}

// stir lets run look again.
func (f *fetch) stir() {
	select {
	case f.stirred <- struct{}{}:
	default:
	}
}

// enlist begins to ask nodes that are new.
func (f *fetch) enlist(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.Peers() {
		if _, known := f.asked[p]; known {
			continue
		}
		f.asked[p] = true
		f.working.Go(func() {
			defer func() {
				f.mu.Lock()
				f.asked[p] = false
				f.mu.Unlock()
				f.stir()
			}()
			err := f.serve(ctx, p)
			if err != nil && ctx.Err() == nil {
				f.Log.Debug("a node gives no part of the ledger's state any more", "node", p, "err", err)
			}
		})
	}
}

// serve asks one node until all is there, or the node is of no use.
func (f *fetch) serve(ctx context.Context, p peer.ID) error {
	if err := f.ready(ctx, p); err != nil {
		return err
	}
	if err := f.begin(ctx, p); err != nil {
		return f.judge(p, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lanes sync.WaitGroup
	errs := make([]error, inFlight)
	for i := range errs {
		lanes.Go(func() {
			defer cancel() // one wrong answer ends the other questions too
			errs[i] = f.lane(ctx, p)
		})
	}
	lanes.Wait()
	return errors.Join(errs...)
}

// ready waits until a node has the snapshot.
func (f *fetch) ready(ctx context.Context, p peer.ID) error {
	for began := time.Now(); ; {
		o, err := f.offer(ctx, p, f.target.Height)
		switch {
		case err == nil && o.Height == f.target.Height && o.Ready:
			return nil
		case err != nil && !p2p.IsRefusal(err, p2p.CodeBusy) || time.Since(began) > makeLimit || err == nil && o.Height > f.target.Height:
			return fmt.Errorf("no snapshot of height %d: it offers %d: %w", f.target.Height, o.Height, errors.Join(err, ErrNoNode))
		}
		if !pause(ctx, failPause) {
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// judge blames a node for a wrong answer; for silence it does not.
func (f *fetch) judge(p peer.ID, err error) error {
	if errors.Is(err, state.ErrSnapshot) {
		f.Log.Warn("a node gave a wrong part of the ledger's state, and is asked no more", "node", p, "err", err)
		f.Blame(p, err)
	}
	return err
}

// begin asks for the hashes at the cut, unless another node has given them.
func (f *fetch) begin(ctx context.Context, p peer.ID) error {
	f.mu.Lock()
	have := f.queue != nil
	f.mu.Unlock()
	if have {
		return nil
	}
	raw, err := f.ask(ctx, p, stateQuestion{Kind: askTop})
	if err != nil {
		return err
	}
	if len(raw) != hashBytes<<state.TopLevel(f.target.Buckets) {
		return fmt.Errorf("%d bytes of hashes: %w", len(raw), state.ErrSnapshot)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queue != nil {
		return nil
	}
	t := f.target
	r, err := state.NewRestorer(f.kv, t.Salt, t.Buckets, t.Height, t.Root, decodeHashes(raw))
	if err != nil {
		return err
	}
	missing := r.Missing()
	f.found = 1<<state.TopLevel(t.Buckets) - len(missing)
	f.restorer, f.queue, f.paced = r, newQueue(missing), time.Now()
	return nil
}

// ask puts a question about the state to a node.
func (f *fetch) ask(ctx context.Context, p peer.ID, q stateQuestion) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	q.Height = f.target.Height
	raw, err := f.Ask(ctx, p, p2p.AskState, canon.Encode(q))
	f.bytes.Add(int64(len(raw)))
	return raw, err
}

// lane asks one node for one run after the other.
func (f *fetch) lane(ctx context.Context, p peer.ID) error {
	failures := 0
	for ctx.Err() == nil {
		if f.queue.empty() {
			return nil
		}
		r, changed := f.queue.take()
		if r == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			case <-time.After(slow / 2): // a run may have become slow
			}
			continue
		}
		err := f.fetchRun(ctx, p, r)
		f.queue.end(r)
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, state.ErrSnapshot), p2p.IsRefusal(err, p2p.CodeNotHeld):
			return f.judge(p, err)
		case errors.Is(err, errDisk):
			f.mu.Lock()
			f.failed = err
			f.mu.Unlock()
			f.cancel()
			return err
		default:
			if failures++; failures == maxFailures {
				return err
			}
			pause(ctx, failPause)
		}
	}
	return ctx.Err()
}

// errDisk marks an error of this machine's disk.
var errDisk = errors.New("the snapshot could not be written")

// written tells an error of the disk from one of the answer.
func written(err error) error {
	if err == nil || errors.Is(err, state.ErrTaken) {
		return nil
	}
	if errors.Is(err, state.ErrSnapshot) {
		return err
	}
	return fmt.Errorf("%w: %w", errDisk, err)
}

// fetchRun asks for the keys of a run of nodes.
func (f *fetch) fetchRun(ctx context.Context, p peer.ID, r *run) error {
	nodes, first := r.asked, r.asked[0]
	count := nodes[len(nodes)-1] - first + 1
	raw, err := f.ask(ctx, p, stateQuestion{Kind: askItems, Node: first, Count: count})
	if err != nil {
		return err
	}
	a, err := decodeItems(raw, int(count))
	if err != nil {
		return err
	}
	switch {
	case len(a.Nodes) == 0 && len(a.Buckets) > 0:
		instead, err := f.restorer.Divide(first, decodeHashes(a.Buckets))
		if err == nil {
			f.queue.got(r, first, instead)
		}
		return written(err)
	case len(a.Nodes) == 0:
		if err := f.fetchBucket(ctx, p, first); err != nil {
			return err
		}
		f.queue.got(r, first, nil)
		return nil
	}
	for _, node := range nodes {
		if int(node-first) >= len(a.Nodes) {
			break
		}
		items := a.Nodes[node-first]
		err := f.restorer.Check(node, items)
		if errors.Is(err, state.ErrTaken) {
			continue // by another node
		}
		if err == nil {
			err = f.complete(ctx, p, items)
		}
		if err == nil {
			err = written(f.restorer.Put(node, items))
		}
		if err != nil {
			return err
		}
		f.bring(node, items, true)
		f.queue.got(r, node, nil)
	}
	return nil
}

// complete gets the long values of items that were checked.
func (f *fetch) complete(ctx context.Context, p peer.ID, items []state.Item) error {
	for i := range items {
		if len(items[i].Hash) == 0 {
			continue
		}
		value, err := f.join(ctx, p, stateQuestion{Kind: askValue, Key: items[i].Key}, state.MaxProof)
		if err != nil {
			return err
		}
		if blob.Leaf(value) != blob.Hash(items[i].Hash) {
			return fmt.Errorf("value of %d bytes has another hash: %w", len(value), state.ErrSnapshot)
		}
		items[i].Value, items[i].Hash = value, nil
	}
	return nil
}

// join asks a node for all parts of something of at most most bytes.
func (f *fetch) join(ctx context.Context, p peer.ID, q stateQuestion, most uint64) (whole []byte, err error) {
	for size := uint64(1); uint64(len(whole)) < size; {
		q.From = uint64(len(whole))
		raw, err := f.ask(ctx, p, q)
		if err != nil {
			return nil, err
		}
		var a partAnswer
		if err := canon.Decode(raw, &a); err != nil {
			return nil, fmt.Errorf("%w: %w", state.ErrSnapshot, err)
		}
		if a.Size < 1 || a.Size > most || len(whole) > 0 && a.Size != size || uint64(len(a.Part)) != min(answerBytes, a.Size-uint64(len(whole))) {
			return nil, fmt.Errorf("part of %d bytes of %d after %d: %w", len(a.Part), a.Size, len(whole), state.ErrSnapshot)
		}
		size, whole = a.Size, append(whole, a.Part...)
	}
	return whole, nil
}

// fetchBucket gets a bucket whose keys do not fit into one answer, from one node.
func (f *fetch) fetchBucket(ctx context.Context, p peer.ID, node uint32) error {
	if state.LevelOf(node) != state.LevelOf(uint32(f.target.Buckets)) {
		return fmt.Errorf("nothing of node %d: %w", node, state.ErrSnapshot)
	}
	b, err := f.bucket(ctx, p, node)
	if err != nil {
		return err
	}
	for n, all := b.Next(); !all; n, all = b.Next() {
		raw, err := f.ask(ctx, p, stateQuestion{Kind: askBucket, Node: node, From: uint64(n)})
		if err != nil {
			return err
		}
		a, err := decodeItems(raw, 1)
		if err != nil {
			return err
		}
		if len(a.Nodes) != 1 {
			return fmt.Errorf("no keys of bucket %d: %w", node, state.ErrSnapshot)
		}
		if err := b.Fits(a.Nodes[0]); err != nil {
			return err
		}
		if err := f.complete(ctx, p, a.Nodes[0]); err != nil {
			return err
		}
		if err := written(b.Put(a.Nodes[0])); err != nil {
			return err
		}
		f.bring(node, a.Nodes[0], false)
	}
	return nil
}

// bucket gets the leaves of a bucket from one node.
func (f *fetch) bucket(ctx context.Context, p peer.ID, node uint32) (*state.Bucket, error) {
	select {
	case f.leaves <- struct{}{}:
		defer func() { <-f.leaves }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	raw, err := f.join(ctx, p, stateQuestion{Kind: askLeaves, Node: node}, maxLeaves*leafBytes)
	if err != nil {
		return nil, err
	}
	leaves, err := decodeLeaves(raw)
	if err != nil {
		return nil, err
	}
	b, err := f.restorer.Bucket(node, leaves)
	return b, written(err)
}
