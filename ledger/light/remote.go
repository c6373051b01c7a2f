package light

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"github.com/walrus-network/walrus/unit"
)

// RemoteOptions say which answers are trusted.
type RemoteOptions struct {
	TrustNode   bool          // take answers unproven, on the word of the node that gives them
	TrustPeriod time.Duration // 0: as long as signers can be punished
	Checkpoint  *Checkpoint   // nil: the genesis
	// Kept is a verified header that Keep was given by a process before this one; nil: none.
	// It serves as a checkpoint does, as long as it is not older than the trust period.
	Kept   []byte
	KeptIn string       // names the place of Kept, for an error's words; empty: has no name
	Keep   func([]byte) // takes verified headers to be kept, a few an hour; nil: none is kept
}

// Asker puts questions of the ledger protocol to nodes; p2p.Host is one.
type Asker interface {
	AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error)
	Peers() map[peer.ID]p2p.Hello
	Bootstrap() []peer.AddrInfo
	// Nearest is the first of peers to which a connection stands; "" for none.
	Nearest(ctx context.Context, peers []peer.ID) peer.ID
	Avoided(peer.ID) bool
	Blame(peer.ID, error)
}

// Remote is the ledger as seen by a process that runs none: it asks nodes, and checks
// their answers against headers that it follows itself.
type Remote struct {
	host    Asker
	genesis ledger.Genesis
	salt    [32]byte // of the genesis: worked out once, a genesis may be long
	options RemoteOptions
	follow  *follower
	older   older
	resumed int64         // height of the kept header that this process began with; 0: none
	written atomic.Uint64 // highest block known to hold a transaction of this process
	floor   atomic.Int64  // header below which no answer is taken any more: heights only rise

	mu     sync.Mutex // guards the fields below
	looked time.Time  // when others were last asked for a newer header
	served peer.ID    // the node whose answer was taken last; empty: none, or it was too slow since
}

// NewRemote asks the nodes that host is connected to or was told of.
func NewRemote(host Asker, g ledger.Genesis, o RemoteOptions) *Remote {
	period := o.TrustPeriod
	if period == 0 {
		period = TrustPeriod(g.Params)
	}
	r := &Remote{host: host, genesis: g, salt: g.Salt(), options: o,
		follow: &follower{genesis: g, period: period, anchor: o.Checkpoint, now: time.Now, keep: o.Keep}}
	if b, err := decodeKept(o.Kept, g, o.Checkpoint); err == nil && !o.TrustNode {
		r.resume(b)
	}
	return r
}

// resume goes on from a header that was verified before. No answer from before it is taken.
func (r *Remote) resume(b *types.LightBlock) {
	r.follow.resume(b)
	if newest := r.follow.newest(); newest != nil {
		r.resumed = newest.Height
		r.rise(newest.Height)
	}
}

// ErrNoNode is returned where no node answers a question about the ledger.
var ErrNoNode = errors.New("no node of the network answers: are the bootstrap addresses right, and this machine online?")

// noAnswer is the error of a question that got no answer. Silence is no lie: no node is
// blamed for it.
type noAnswer struct{ err error }

func (u noAnswer) Error() string { return u.err.Error() }
func (u noAnswer) Unwrap() error { return u.err }

// ErrBehind is returned where nodes answer, and none has the newest block that this machine
// has verified.
var ErrBehind = errors.New("the nodes that answer are all behind what this machine has verified")

// behind is the error of an answer from before what was verified. It is true, and old.
type behind struct {
	from     peer.ID
	at, seen int64 // heights: of the answer, and of what was verified
}

func (b behind) Error() string {
	return fmt.Sprintf("node %s is behind: it answers at height %d, another has at %d", b.from, b.at, b.seen)
}

// Limits of one node among others that can be asked.
const (
	patience = 5 * time.Second // for an answer
	stagger  = time.Second     // of silence, after which the next node is asked as well
	inFlight = 4               // nodes that are asked at the same time
)

// ask puts a question to one node after the other until an answer passes accept. A node
// that is silent for long is not waited for: the next one is asked beside it, and the first
// good answer counts. A node whose answer fails accept is blamed.
func (r *Remote) ask(ctx context.Context, ask p2p.Ask, body []byte, accept accept) error {
	return r.askAbout(ctx, unpinned, ask, body, accept)
}

// unpinned lets no number of refusals end a question: it is about whatever a node has.
const unpinned = -1

// askAbout is ask, given up once so many nodes say that they do not have what it is about.
func (r *Remote) askAbout(ctx context.Context, most int, ask p2p.Ask, body []byte, accept accept) error {
	inner, cancel := context.WithCancel(ctx)
	q := inquiry{r: r, ask: ask, body: body, accept: accept, to: r.nearestFirst(inner), gone: most, ended: make(chan attempt, maxAsked), silent: true}
	defer q.asked.Wait()
	defer cancel()
	next := time.NewTimer(stagger)
	defer next.Stop()
	for q.start(inner); q.open > 0; {
		select {
		case a := <-q.ended:
			q.open--
			if over, err := q.hear(ctx, a); over {
				return err
			}
			q.start(inner)
		case <-next.C:
			q.start(inner)
		}
		next.Reset(stagger)
	}
	return q.failed()
}

// accept checks one node's answer, and returns what takes it over. Several answers may be
// checked at the same time: a node whose answer takes long to check holds up no other. The
// first that passes is taken over, alone.
type accept func(ctx context.Context, from peer.ID, answer []byte) (take func(), err error)

// inquiry is one question on its way through the nodes.
type inquiry struct {
	r      *Remote
	ask    p2p.Ask
	body   []byte
	accept accept

	to    []peer.ID // nodes not asked yet
	open  int       // nodes asked that have not answered
	gone  int       // further refusals for want of what is asked about that end the question
	asked sync.WaitGroup
	ended chan attempt

	mu     sync.Mutex // guards passed, and what takes an answer over
	passed bool       // an answer passed

	failures  []error
	strangers error // a node of another network answered
	silent    bool  // no node has said a word, or none but old ones
	behind    bool  // a node has said old ones
}

// attempt is how asking one node ended.
type attempt struct {
	from peer.ID
	err  error
}

// start asks the next node, if there is one and not too many are being asked.
func (q *inquiry) start(ctx context.Context) {
	if len(q.to) == 0 || q.open == inFlight {
		return
	}
	p := q.to[0]
	q.to = q.to[1:]
	q.open++
	others := len(q.to) > 0
	q.asked.Go(func() { q.ended <- attempt{p, q.askOne(ctx, p, others)} })
}

func (q *inquiry) askOne(ctx context.Context, p peer.ID, others bool) error {
	if others {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience, fmt.Errorf("node %s did not answer within %s", p, patience))
		defer cancel()
	}
	answer, err := q.r.askLedger(ctx, p, q.ask, q.body)
	if err == nil {
		err = q.pass(ctx, p, answer)
	} else {
		err = noAnswer{err}
	}
	if err != nil && ctx.Err() != nil {
		err = noAnswer{context.Cause(ctx)}
	}
	return err
}

// pass checks an answer, and takes it over unless another one has passed.
func (q *inquiry) pass(ctx context.Context, p peer.ID, answer []byte) error {
	take, err := q.accept(ctx, p, answer)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.passed {
		return noAnswer{context.Canceled}
	}
	q.passed = true
	q.r.prefer(p)
	take()
	return nil
}

// hear notes how asking a node ended. over says that no further node is to be asked.
func (q *inquiry) hear(ctx context.Context, a attempt) (over bool, err error) {
	var none noAnswer
	switch {
	case a.err == nil:
		return true, nil
	case ctx.Err() != nil:
		return true, ctx.Err()
	case errors.Is(a.err, ErrExpired):
		return true, q.r.expired(ctx, a.err)
	case ours(a.err):
		return true, a.err // the best of nodes could not help
	case !errors.As(a.err, &none):
		q.r.host.Blame(a.from, a.err)
	}
	if p2p.IsRefusal(a.err, p2p.CodeWrongNetwork) {
		q.strangers = a.err // to try later will not help; all say the same
		return false, nil
	}
	var refusal *p2p.Refusal
	q.behind = q.behind || errors.As(a.err, new(behind))
	q.silent = q.silent && errors.As(a.err, &none) && !errors.As(a.err, &refusal)
	q.failures = append(q.failures, a.err)
	if p2p.IsRefusal(a.err, p2p.CodeNotHeld) {
		if q.gone--; q.gone == 0 {
			return true, q.failed()
		}
	}
	return false, nil
}

// failed is the error where no answer of any node has passed.
func (q *inquiry) failed() error {
	err := errors.Join(append(q.failures, q.strangers)...)
	if q.silent && q.strangers == nil {
		if q.behind {
			return fmt.Errorf("%w%s: %w", ErrBehind, q.r.begunAnew(), err)
		}
		return fmt.Errorf("%w: %w", ErrNoNode, err)
	}
	return err
}

// begunAnew is what to do where the chain has fewer blocks than an earlier process has seen.
func (r *Remote) begunAnew() string {
	newest := r.follow.newest()
	if r.options.KeptIn == "" || r.resumed == 0 || newest == nil || newest.Height != r.resumed {
		return ""
	}
	return fmt.Sprintf(": an earlier command has seen block %d of %s. Try again later; where the network was begun anew from the same genesis, as its operators know, remove %s",
		newest.Height, newest.Time.UTC().Format(time.RFC3339), r.options.KeptIn)
}

// maxAsked is how many nodes a question goes to at most.
const maxAsked = 32

// prefer notes the node that is to be asked first from now on: it has answered, and a stream
// to it stands. Empty prefers none.
func (r *Remote) prefer(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served = p
}

func (r *Remote) preferred() peer.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.served
}

// candidates is the nodes to ask, in order, at most maxAsked: connected members of the
// newest proven committee, of these the one that answered last first, then the bootstrap
// addresses, then other connected nodes that say they run the ledger. Nodes that the host
// avoids come last.
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
	if i := slices.Index(members, r.preferred()); i > 0 {
		members[0], members[i] = members[i], members[0]
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

// nearestDials is how many nodes are dialed at once by a process that is connected to none.
const nearestDials = 3

// nearestFirst is the nodes to ask. Where the host is connected to none, some are dialed at
// once and the first that is connected comes first: a silent one costs nothing then.
func (r *Remote) nearestFirst(ctx context.Context) []peer.ID {
	all := r.candidates()
	if len(r.host.Peers()) > 0 || len(all) < 2 {
		return all
	}
	ctx, cancel := context.WithTimeout(ctx, stagger)
	defer cancel()
	first := r.host.Nearest(ctx, all[:min(len(all), nearestDials)])
	if i := slices.Index(all, first); i > 0 {
		copy(all[1:i+1], all[:i])
		all[0] = first
	}
	return all
}

// members is the nodes of the newest proven committee. A node has one key for its votes
// and its name.
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

// lightBlock is one node's light block of a height, well formed but not verified; height
// 0 is its newest. Of a height that the node has pruned it is the next one that it keeps.
func (r *Remote) lightBlock(ctx context.Context, from peer.ID, height int64) (*types.LightBlock, error) {
	answer, err := r.host.AskLedger(ctx, from, p2p.AskLight, canon.Encode(headerQuestion{Height: unit.Height(height)}))
	if err != nil {
		return nil, noAnswer{err}
	}
	b, err := decodeBlock(answer, string(r.genesis.ChainID()))
	if err == nil && b.Height < height { // a later one is what the node keeps in its place
		err = fmt.Errorf("light block %d, asked for %d: %w", b.Height, height, blob.ErrMismatch)
	}
	return b, err
}

func (r *Remote) source(from peer.ID) source {
	return func(ctx context.Context, height int64) (*types.LightBlock, error) {
		return r.lightBlock(ctx, from, height)
	}
}

// header is the header of a height that one node's answer leads to: verified, or unproven
// where the options trust the node.
func (r *Remote) header(ctx context.Context, from peer.ID, height int64) (*types.LightBlock, error) {
	return r.headerFrom(ctx, from, height, r.source(from))
}

// headerFrom is header with what the node has given already.
func (r *Remote) headerFrom(ctx context.Context, from peer.ID, height int64, given source) (*types.LightBlock, error) {
	if height < 1 {
		return nil, fmt.Errorf("header %d: %w", height, blob.ErrMismatch)
	}
	if lowest := r.floor.Load(); height < lowest {
		return nil, noAnswer{behind{from, height, lowest}}
	}
	if r.options.TrustNode {
		return given(ctx, height)
	}
	b, err := r.follow.header(ctx, height, given)
	if err == nil {
		err = r.current(ctx, from, b)
	}
	if err == nil {
		r.rise(b.Height)
	}
	return b, err
}

// Status is where the ledger of the node that answers stands, unproven.
func (r *Remote) Status(ctx context.Context) (s Status, err error) {
	err = r.ask(ctx, p2p.AskStatus, nil, func(_ context.Context, _ peer.ID, b []byte) (func(), error) {
		var got Status
		err := decodeAnswer(b, &got)
		return func() { s = got }, err
	})
	return s, err
}

// AppHashOf is the app hash in one node's header of a height, unproven: for tools that
// compare nodes with each other.
func AppHashOf(ctx context.Context, host *p2p.Host, node peer.ID, height unit.Height, chain token.ChainID) (blob.Hash, error) {
	b, err := host.AskLedger(ctx, node, p2p.AskLight, canon.Encode(headerQuestion{Height: height}))
	if err != nil {
		return blob.Hash{}, err
	}
	l, err := decodeBlock(b, string(chain))
	if err != nil {
		return blob.Hash{}, err
	}
	return blob.Hash(l.AppHash), nil
}
