package comet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// RemoteOptions say how much is believed.
type RemoteOptions struct {
	TrustNode   bool          // take answers on the word of whoever is asked
	TrustPeriod time.Duration // 0: as long as signers can be punished
	Checkpoint  *Checkpoint   // nil: the genesis
}

// Asker puts questions of the ledger protocol to nodes; p2p.Host is one.
type Asker interface {
	AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error)
	Peers() map[peer.ID]p2p.Hello
	Bootstrap() []peer.AddrInfo
	Avoided(peer.ID) bool
	Blame(peer.ID, error)
}

// Remote is the ledger as seen by a process that runs none: it asks nodes and
// checks what they say against headers that it follows itself.
type Remote struct {
	host    Asker
	genesis ledger.Genesis
	salt    [32]byte // of the genesis: worked out once, a genesis may be long
	options RemoteOptions
	follow  *follower
	written atomic.Uint64 // highest block known to hold a transaction of this process
	floor   atomic.Int64  // header below which no answer is taken any more: heights only rise

	mu     sync.Mutex // guards looked
	looked time.Time  // when others were last asked for a newer header
}

// NewRemote asks the nodes that host is connected to or was told of.
func NewRemote(host Asker, g ledger.Genesis, o RemoteOptions) *Remote {
	period := o.TrustPeriod
	if period == 0 {
		period = TrustPeriod(g.Params)
	}
	return &Remote{host: host, genesis: g, salt: g.Salt(), options: o,
		follow: &follower{genesis: g, period: period, anchor: o.Checkpoint, now: time.Now}}
}

// ErrNoNode is returned where nobody answers for the ledger.
var ErrNoNode = errors.New("no node of the network answers: are the bootstrap addresses right, and this machine online?")

// unanswered is a question that got no answer, which is nobody's lie.
type unanswered struct{ err error }

func (u unanswered) Error() string { return u.err.Error() }
func (u unanswered) Unwrap() error { return u.err }

// patience is how long one node is waited for while there are others to ask.
const patience = 5 * time.Second

// ask puts a question to one node after the other until one answers. What a node
// says is checked by accept; who fails it is blamed and the next is asked.
func (r *Remote) ask(ctx context.Context, ask p2p.Ask, body []byte, accept func(context.Context, peer.ID, []byte) error) error {
	var failures []error
	var strangers error // a node of another network answered
	silent := true      // no node has said a word
	candidates := r.candidates()
	for i, p := range candidates {
		err := r.askOne(ctx, p, ask, body, i < len(candidates)-1, accept)
		var none unanswered
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrExpired):
			return r.expired(ctx, err)
		case ours(err):
			return err // the best of nodes could not help
		case !errors.As(err, &none):
			r.host.Blame(p, err)
		}
		if p2p.IsRefusal(err, p2p.CodeWrongNetwork) {
			strangers = err // to try later will not help; all say the same
			continue
		}
		var refusal *p2p.Refusal
		silent = silent && errors.As(err, &none) && !errors.As(err, &refusal)
		failures = append(failures, err)
	}
	err := errors.Join(append(failures, strangers)...)
	if silent && strangers == nil {
		return fmt.Errorf("%w: %w", ErrNoNode, err)
	}
	return err
}

func (r *Remote) askOne(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte, others bool, accept func(context.Context, peer.ID, []byte) error) error {
	if others {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience, fmt.Errorf("node %s did not answer within %s", p, patience))
		defer cancel()
	}
	answer, err := r.host.AskLedger(ctx, p, ask, body)
	if err == nil {
		err = accept(ctx, p, answer)
	} else {
		err = unanswered{err}
	}
	if err != nil && ctx.Err() != nil {
		err = unanswered{context.Cause(ctx)}
	}
	return err
}

// maxAsked is how many nodes a question goes to at most.
const maxAsked = 32

// candidates is whom to ask, at most maxAsked: members of the newest committee that is
// proven and that we are connected to, then the bootstrap addresses, then whoever else
// says that it runs the ledger; the avoided last.
func (r *Remote) candidates() []peer.ID {
	var members, others []peer.ID
	known := r.members()
	for p, hello := range r.host.Peers() {
		switch {
		case known[p]:
			members = append(members, p)
		case hello.Ledger != "":
			others = append(others, p)
		}
	}
	var good, rest []peer.ID
	seen := map[peer.ID]bool{}
	add := func(p peer.ID) {
		if seen[p] {
			return
		}
		seen[p] = true
		if r.host.Avoided(p) {
			rest = append(rest, p)
		} else {
			good = append(good, p)
		}
	}
	for _, p := range members {
		add(p)
	}
	for _, b := range r.host.Bootstrap() {
		add(b.ID)
	}
	for _, p := range others {
		add(p)
	}
	all := append(good, rest...)
	return all[:min(len(all), maxAsked)]
}

// members are the nodes of the newest committee that is proven. A node has one key for
// its votes and its name.
func (r *Remote) members() map[peer.ID]bool {
	out := map[peer.ID]bool{}
	newest := r.follow.newest()
	if newest == nil {
		return out
	}
	for _, v := range newest.ValidatorSet.Validators {
		if p, err := p2p.PeerOf(v.PubKey.Bytes()); err == nil {
			out[p] = true
		}
	}
	return out
}

// lightBlock is a light block as one node has it, in form; height 0 is its newest.
func (r *Remote) lightBlock(ctx context.Context, from peer.ID, height int64) (*types.LightBlock, error) {
	answer, err := r.host.AskLedger(ctx, from, p2p.AskLight, canon.Encode(lightQuestion{Height: uint64(height)}))
	if err != nil {
		return nil, unanswered{err}
	}
	b, err := decodeLightBlock(answer, string(r.genesis.ChainID()))
	if err == nil && height != 0 && b.Height != height {
		err = fmt.Errorf("light block %d, asked for %d: %w", b.Height, height, blob.ErrMismatch)
	}
	return b, err
}

func (r *Remote) source(from peer.ID) source {
	return func(ctx context.Context, height int64) (*types.LightBlock, error) {
		return r.lightBlock(ctx, from, height)
	}
}

// header is the header of a height that one node's answer leads to: verified, or on
// the node's word if that is to do.
func (r *Remote) header(ctx context.Context, from peer.ID, height int64) (*types.LightBlock, error) {
	if height < 1 {
		return nil, fmt.Errorf("header %d: %w", height, blob.ErrMismatch)
	}
	if lowest := r.floor.Load(); height < lowest {
		return nil, unanswered{fmt.Errorf("node %s is behind: it answers at height %d, another has at %d", from, height, lowest)}
	}
	if r.options.TrustNode {
		return r.lightBlock(ctx, from, height)
	}
	b, err := r.follow.header(ctx, height, r.source(from))
	if err == nil {
		err = r.current(ctx, from, b)
	}
	if err == nil {
		r.rise(b.Height)
	}
	return b, err
}

// rise takes no answer below a height any more.
func (r *Remote) rise(height int64) {
	for was := r.floor.Load(); was < height && !r.floor.CompareAndSwap(was, height); was = r.floor.Load() {
	}
}

// How old an answer may be. An old one is true, but of the past: it is shown where
// the ledger stands still, not where one node has fallen behind or holds it back.
const (
	maxBehind  = 10               // blocks behind the newest verified header
	staleAfter = 20               // blocks' time after which others are asked for a newer header
	lookEvery  = 10 * time.Second // and how often
	lookLimit  = 2 * time.Second
)

// current refuses a header that is far behind the newest. One that is old by the
// clock is compared with what other nodes have first: of those who answer, one
// honest node suffices to know that the ledger has moved.
func (r *Remote) current(ctx context.Context, from peer.ID, b *types.LightBlock) error {
	stale := staleAfter * time.Duration(r.genesis.Params.BlockMs) * time.Millisecond
	if r.follow.now().Sub(b.Time) > max(stale, lookEvery) {
		r.look(ctx, from)
	}
	if newest := r.follow.newest(); newest != nil && b.Height+maxBehind < newest.Height {
		return unanswered{fmt.Errorf("node %s is behind: it answers at height %d, the ledger is at %d", from, b.Height, newest.Height)}
	}
	return nil
}

// look asks others than one for their newest headers. What they say is verified.
func (r *Remote) look(ctx context.Context, beside peer.ID) {
	r.mu.Lock()
	recently := time.Since(r.looked) < lookEvery
	if !recently {
		r.looked = time.Now()
	}
	r.mu.Unlock()
	if !recently {
		r.lookNow(ctx, beside)
	}
}

func (r *Remote) lookNow(ctx context.Context, beside peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	var asked sync.WaitGroup
	for _, p := range r.candidates() {
		if p == beside {
			continue
		}
		asked.Go(func() {
			b, err := r.lightBlock(ctx, p, 0)
			if err == nil {
				_, err = r.follow.verify(ctx, b, r.source(p))
			}
			var none unanswered
			if err != nil && !errors.As(err, &none) && ctx.Err() == nil && !ours(err) {
				r.host.Blame(p, err)
			}
		})
	}
	asked.Wait()
}

// Refresh asks the nodes for their newest headers and takes no older answer any more. It
// is for who was told that something is not there: a node that has fallen behind, or
// holds the ledger back, would say so too.
func (r *Remote) Refresh(ctx context.Context) error {
	if r.options.TrustNode {
		return nil
	}
	r.lookNow(ctx, "")
	if newest := r.follow.newest(); newest != nil {
		r.rise(newest.Height)
	}
	return ctx.Err()
}

// wrote notes a block that holds a transaction of this process. What is read from now on
// is not older.
func (r *Remote) wrote(height uint64) {
	if height > 0 {
		r.rise(int64(height) + 1)
	}
	for seen := r.written.Load(); seen < height && !r.written.CompareAndSwap(seen, height); seen = r.written.Load() {
	}
}

// settleBlocks is how many blocks Settle waits at most: a ledger may stand still.
const settleBlocks = 6

// Settle waits until what this process has written can be proven by whoever is
// asked next: a block's effects are named by the header after it, and nodes may be
// a block apart. Who does not answer is not waited for.
func (r *Remote) Settle(ctx context.Context) error {
	block := r.block()
	ctx, cancel := context.WithTimeout(ctx, settleBlocks*block)
	defer cancel()
	for written := r.written.Load(); written > 0; {
		if lowest, some := r.lowest(ctx, block); some && lowest > written {
			r.written.CompareAndSwap(written, 0)
			return nil
		}
		if !sleep(ctx, block/10) {
			return ctx.Err()
		}
	}
	return nil
}

// lowest is the least height at which a node stands, of those who answer within wait.
func (r *Remote) lowest(ctx context.Context, wait time.Duration) (height uint64, some bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var asked sync.WaitGroup
	var mu sync.Mutex // guards height and some
	for _, p := range r.candidates() {
		asked.Go(func() {
			b, err := r.host.AskLedger(ctx, p, p2p.AskStatus, nil)
			var s Standing
			if err != nil || decodeAnswer(b, &s) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !some || s.Height < height {
				height, some = s.Height, true
			}
		})
	}
	asked.Wait()
	return height, some
}

// Standing is where the ledger stands, on the word of the node that is asked.
func (r *Remote) Standing(ctx context.Context) (s Standing, err error) {
	err = r.ask(ctx, p2p.AskStatus, nil, func(_ context.Context, _ peer.ID, b []byte) error { return decodeAnswer(b, &s) })
	return s, err
}

// AppHashOf asks one node for the app hash in its header of a height, on its word:
// for who compares nodes with each other.
func AppHashOf(ctx context.Context, host *p2p.Host, node peer.ID, height uint64, chain token.ChainID) (blob.Hash, error) {
	b, err := host.AskLedger(ctx, node, p2p.AskLight, canon.Encode(lightQuestion{Height: height}))
	if err != nil {
		return blob.Hash{}, err
	}
	l, err := decodeLightBlock(b, string(chain))
	if err != nil {
		return blob.Hash{}, err
	}
	return blob.Hash(l.AppHash), nil
}
