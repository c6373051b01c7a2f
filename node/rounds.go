package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/store"
)

const (
	declareLimit = 30 * time.Second // a declaration, or an accusation, waits for a block
	pullLimit    = 10 * time.Second // for one peer's answer
	pullAtOnce   = 32               // holders
	pullPeers    = 2                // asked beside the owner for what is lacking
	JitterPart   = 6                // proofs are sent within 1/JitterPart of the time until the deadline
)

// rounds takes part in the challenges: it proves what the node holds, checks what others
// prove, and knows what it has heard when the ledger asks.
type rounds struct {
	n      *Node
	gossip *p2p.Gossip
	topic  string
	bodies bodies

	members members // whose questions are answered, whoever else asks

	mu    sync.Mutex // guards the fields below
	now   *hearing   // the last round that was drawn
	past  []*hearing // those before, the latest first: their bodies may still be asked for
	early map[earlyKey][]byte
	tasks sync.WaitGroup

	closing context.Context // ends with Run: of tasks that the gossip's handlers begin
	close   context.CancelFunc

	defences defences
}

// earlyKey makes one message a place: a shard in a round to come.
type earlyKey struct {
	round challenge.Round
	shard blob.Shard
}

func newRounds(n *Node) *rounds {
	r := &rounds{n: n, topic: p2p.ProofTopic(string(n.chain)), early: map[earlyKey][]byte{}, bodies: bodies{n.config.ProofsDir}}
	r.closing, r.close = context.WithCancel(context.Background())
	r.defences = defences{r: r, open: map[disputed]*defence{}}
	gossip, err := p2p.NewGossip(n.host, r.topic)
	if err != nil {
		panic(fmt.Sprintf("node: %v", err)) // one topic, with a name
	}
	r.gossip = gossip
	r.gossip.Handle(r.topic, r.judge)
	return r
}

// Run follows the ledger from round to round until ctx ends; it returns when nothing of
// it runs any more.
func (r *rounds) Run(ctx context.Context) error {
	r.n.host.SetStanding(r.members.standing)
	r.n.host.ServeProofs(r.held, r.members.has)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, r.close)()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- r.gossip.Run(ctx)
	}()
	live := false
	for ctx.Err() == nil {
		changed := r.n.ledger.Changed()
		if err := r.look(ctx, live); err != nil && ctx.Err() == nil {
			r.n.log.Warn("look at the round under way", "err", err)
		}
		if err := r.defences.look(ctx); err != nil && ctx.Err() == nil {
			r.n.log.Warn("look at the disputes", "err", err)
		}
		live = true
		wait(ctx, lookAgain, changed)
	}
	err := <-ended // first: what it brings begins tasks
	r.tasks.Wait()
	return err
}

// Attest is what this node has heard of a round. See comet.Attester.
func (r *rounds) Attest(round challenge.Round) (listened bool, own blob.Hash, yes []byte) {
	h := r.hearing(round)
	if h == nil {
		return false, blob.Hash{}, nil
	}
	listened, own, yes = h.attest()
	a := r.n.conduct.attest(Attestation{listened, own, yes, len(h.committee.Holder)})
	return a.Listened, a.Own, a.Yes
}

// task runs what messages and blocks begin. A panic in it costs that task.
func (r *rounds) task(work func()) {
	r.tasks.Go(func() {
		_ = p2p.Guard(r.n.log, "follow a round", func() error {
			work()
			return nil
		})
	})
}

func (r *rounds) hearing(round challenge.Round) *hearing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil && r.now.state.Round == round {
		return r.now
	}
	for _, h := range r.past {
		if h.state.Round == round {
			return h
		}
	}
	return nil
}

// look does what the ledger's last block asks for. live says that the node saw the block
// before: else it may have missed what was sent since the draw.
func (r *rounds) look(ctx context.Context, live bool) error {
	v, err := r.n.ledger.View(ctx)
	if err != nil {
		return err
	}
	head, err := v.Head()
	if err != nil {
		return err
	}
	if err := r.members.follow(v, head.Epoch); err != nil {
		return err
	}
	state, known, err := v.Round()
	if err != nil || !known {
		return err
	}
	params, err := v.Params()
	if err != nil {
		return err
	}
	r.n.frozen.follow(head, state, params, time.Now())
	if !state.Drawn {
		return nil
	}
	if h := r.hearing(state.Round); h != nil {
		h.follow(state, head.Height)
		r.pullIfDue(ctx, h, head.Height)
		return nil
	}
	if state.Over {
		return nil
	}
	h, err := r.open(v, state, live && head.Height <= state.T+1 && r.n.ledger.AtTip())
	if err != nil {
		return err
	}
	h.follow(state, head.Height)
	r.hearEarly(h)
	r.task(func() { r.prove(ctx, h) })
	return nil
}

// open begins to hear a round.
func (r *rounds) open(v ledger.View, state ledger.RoundState, listened bool) (*hearing, error) {
	c, err := v.Committee(state.Round.Epoch)
	if err != nil {
		return nil, err
	}
	p, err := v.Params()
	if err != nil {
		return nil, err
	}
	h := newHearing(r.n.chain, state, c, p, listened)
	h.bodies = r.bodies
	h.restore()
	if keep := p.Challenge.KeepRounds; state.Ordinal >= keep {
		if err := r.bodies.forget(state.Ordinal + 1 - keep); err != nil {
			r.n.log.Warn("remove the proofs of old rounds", "err", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil {
		r.past = slices.Insert(r.past, 0, r.now)
	}
	r.past = r.past[:min(len(r.past), int(p.Challenge.KeepRounds)-1)] // as long as the ledger keeps the round
	r.now = h
	return h, nil
}

// hearEarly judges what came before this node had drawn the round, and sends on what
// holds, as it would have then.
func (r *rounds) hearEarly(h *hearing) {
	r.mu.Lock()
	var list [][]byte
	for k, raw := range r.early {
		if k.round == h.state.Round {
			list = append(list, raw)
		}
	}
	clear(r.early)
	r.mu.Unlock()
	if len(list) == 0 {
		return
	}
	r.task(func() {
		var good [][]byte
		for _, raw := range list {
			if m, err := challenge.DecodeMessage(raw); err == nil && r.hear(h, m, raw) == nil {
				good = append(good, raw)
			}
		}
		if err := r.gossip.Publish(r.closing, r.topic, good); err != nil {
			r.n.log.Debug("send early proofs on", "err", err)
		}
	})
}

// judge is the door of the gossip.
func (r *rounds) judge(ctx context.Context, _ peer.ID, raw []byte) p2p.Verdict {
	m, err := challenge.DecodeMessage(raw)
	if err != nil {
		return p2p.Reject
	}
	h := r.hearing(m.Proof.Round)
	if h == nil {
		soon, forged := r.soon(ctx, m.Proof)
		if forged {
			return p2p.Reject
		}
		if soon {
			r.keepEarly(m, raw)
		}
		return p2p.Ignore
	}
	switch err := r.hear(h, m, raw); {
	case err == nil:
		return p2p.Accept
	case errors.Is(err, errUnsigned), errors.Is(err, errFalse), errors.Is(err, errNobody):
		return p2p.Reject
	}
	return p2p.Ignore
}

// hear judges a message in its round, and tells the ledger of one that is false although
// its holder signed it.
func (r *rounds) hear(h *hearing, m challenge.Message, raw []byte) error {
	err := h.judge(m, raw)
	if errors.Is(err, errFalse) && h.accuse(m.Proof.Shard) {
		r.task(func() {
			if !r.accuse(h, m.Proof) {
				h.release(m.Proof.Shard)
			}
		})
	}
	return err
}

// soon says that a proof is of a round that is about to be drawn, and signed by the node
// that holds its shard then: what anybody can make is not kept. forged says that it is of
// such a round and nobody's: the committee is known, and whoever passed it on could have
// checked it as well.
func (r *rounds) soon(ctx context.Context, p challenge.Proof) (soon, forged bool) {
	v, err := r.n.ledger.View(ctx)
	if err != nil {
		return false, false
	}
	state, _, err := v.Round()
	if err != nil || !next(state.Round, p.Round) && (state.Over || p.Round != state.Round) {
		return false, false
	}
	c, err := v.Committee(p.Round.Epoch)
	if err != nil {
		return false, false // it may be known to who is a block ahead
	}
	if int(p.Shard) >= len(c.Holder) {
		return false, true
	}
	if c.Holder[p.Shard].PublicKey().Verify(challenge.ProofMessage(r.n.chain, p), p.Signature) != nil {
		return false, true
	}
	return true, false
}

// keepEarly holds a message of the next round: one for a shard.
func (r *rounds) keepEarly(m challenge.Message, raw []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.early) >= blob.MaxShards {
		return
	}
	key := earlyKey{m.Proof.Round, m.Proof.Shard}
	if _, has := r.early[key]; !has {
		r.early[key] = raw
	}
}

// next says that a round follows another.
func next(now, then challenge.Round) bool {
	return then.Epoch == now.Epoch && then.Round > now.Round && then.Round <= now.Round+earlyRounds || then.Epoch == now.Epoch+1 && then.Round < earlyRounds
}

// held answers who asks for a proof that it has not heard.
func (r *rounds) held(_ context.Context, from peer.ID, epoch, round uint64, shard blob.Shard) ([]byte, error) {
	h := r.hearing(challenge.Round{Epoch: epoch, Round: round})
	if h != nil && int(shard) < len(h.committee.Holder) && (h.committee.Holder[shard] != r.n.id || r.n.conduct.shows(from)) {
		if raw, ok := h.body(shard); ok {
			return raw, nil
		}
	}
	return nil, p2p.ErrNotHeld
}

// prove answers for the node's own shards, checks the answers as others will, and sends
// them within a moment that is not everybody's. What it cannot prove it declares.
func (r *rounds) prove(ctx context.Context, h *hearing) {
	part := Part{r, h}
	proofs, lost := r.n.conduct.prove(ctx, part)
	if len(lost) > 0 {
		r.n.log.Warn("this node cannot prove what it should hold: it says so, and repairs", "epoch", h.state.Round.Epoch, "round", h.state.Round.Round, "shards", lost)
		r.task(func() { r.declare(ctx) })
	}
	if len(proofs) == 0 {
		return
	}
	list, promise := challenge.Messages(proofs)
	h.sent(list, promise)
	span := time.Duration(h.params.Challenge.Deadline*h.params.BlockMs) * time.Millisecond / JitterPart
	if !wait(ctx, rand.N(max(span, 1)), nil) {
		return
	}
	raw := make([][]byte, len(list))
	for i, m := range list {
		raw[i] = m.Encode()
	}
	if err := r.n.conduct.send(ctx, part, raw); err != nil {
		r.n.log.Warn("send proofs", "round", h.state.Round.Round, "err", err)
	}
}

func mustShape(p ledger.Params) blob.Shape {
	s, err := p.Shape()
	if err != nil {
		panic(fmt.Sprintf("node: the ledger's params have no shape: %v", err))
	}
	return s
}

// declare says that the node has lost something, for the next round.
func (r *rounds) declare(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, declareLimit)
	defer cancel()
	v, err := r.n.ledger.View(ctx)
	if err != nil {
		return
	}
	ordinal, err := v.NextRound()
	if err != nil {
		return
	}
	receipt, err := r.n.ledger.Submit(ctx, ledger.Unsigned(ledger.NewDeclare(r.n.chain, r.n.key, ordinal)))
	if err == nil {
		err = receipt.Err()
	}
	if err != nil && !errors.Is(err, ledger.ErrDeclared) {
		r.n.log.Warn("declare a loss", "round", ordinal, "err", err)
	}
}

// accuse shows the ledger a proof that its holder signed and that does not hold. It
// returns whether the ledger has it.
func (r *rounds) accuse(h *hearing, p challenge.Proof) (known bool) {
	f, shown := challenge.NewFalsehood(p, h.ask(p.Shard), h.state.Commitment)
	if p.Beacon != h.state.Beacon {
		shown = true
	}
	if !shown {
		return false
	}
	ctx, cancel := context.WithTimeout(r.closing, declareLimit)
	defer cancel()
	v, err := r.n.ledger.View(ctx)
	if err != nil {
		return false
	}
	own, _, err := v.Node(r.n.id)
	if err != nil {
		return false
	}
	receipt, err := r.n.ledger.Submit(ctx, ledger.Unsigned(ledger.Accuse{Ordinal: h.state.Ordinal, Evidence: f.Encode(), Finder: own.Payout}))
	if err == nil {
		err = receipt.Err()
	}
	if r.closing.Err() != nil {
		return false
	}
	if err != nil && !errors.Is(err, ledger.ErrKnown) {
		r.n.log.Warn("accuse who signed a false proof", "node", h.committee.Holder[p.Shard], "shard", p.Shard, "err", err)
		return false
	}
	r.n.log.Info("a false proof is on the ledger", "node", h.committee.Holder[p.Shard], "shard", p.Shard, "round", p.Round.Round)
	return true
}

// pullIfDue asks for what the gossip has not brought by T + Pull, and again for what
// was promised and is late.
func (r *rounds) pullIfDue(ctx context.Context, h *hearing, height uint64) {
	if h.pullDue(height) {
		r.task(func() { r.pull(ctx, h) })
	}
}

// pull asks the holder of each shard that is lacking, then some of the others.
func (r *rounds) pull(ctx context.Context, h *hearing) {
	byPeer := map[peer.ID][]blob.Shard{}
	for _, s := range h.missing() {
		if id, err := p2p.PeerOf(h.committee.Holder[s][:]); err == nil && h.committee.Holder[s] != r.n.id {
			byPeer[id] = append(byPeer[id], s)
		}
	}
	var asking errgroup.Group
	asking.SetLimit(pullAtOnce) // who is silent must not use up the time that the others have
	for id, shards := range byPeer {
		asking.Go(func() error {
			r.askFor(ctx, h, id, shards)
			return nil
		})
	}
	asking.Wait()
	others := r.gossip.Peers(r.topic)
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for _, id := range others[:min(pullPeers, len(others))] {
		if lacking := h.missing(); len(lacking) > 0 {
			r.askFor(ctx, h, id, lacking)
		}
	}
}

func (r *rounds) askFor(ctx context.Context, h *hearing, from peer.ID, shards []blob.Shard) {
	ctx, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	list, err := r.n.host.AskProofs(ctx, from, h.state.Round.Epoch, h.state.Round.Round, shards)
	if err != nil {
		r.n.log.Debug("ask for proofs", "peer", from, "err", err)
	}
	for _, raw := range list {
		if raw == nil {
			continue
		}
		if m, err := challenge.DecodeMessage(raw); err == nil {
			_ = r.hear(h, m, raw) // whoever sent it may only have passed it on
		}
	}
}

var _ challenge.Source = (*store.Store)(nil)
