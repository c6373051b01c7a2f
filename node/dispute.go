package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

const (
	answerLimit  = time.Minute // for finding a proof, and for a block that holds it
	holderAhead  = 2           // blocks that a shard's holder has for itself
	answerSpread = 4           // others answer within this part of the time that there is
)

var errNoBody = errors.New("nobody who was asked has the proof")

// disputed names a dispute.
type disputed struct {
	ordinal uint64
	shard   blob.Shard
}

// defence is what this node does about an open dispute.
type defence struct {
	due    uint64 // height from which it answers
	busy   bool   // a task is at it
	answer []byte // the transaction; nil: not made yet
}

// defences answers disputes of what this node voted for: at stake is its vote. The
// holder goes first, the others wait some blocks, each its own number, so that one
// answer lands and not a hundred.
type defences struct {
	r *rounds

	mu   sync.Mutex // guards the fields below
	open map[disputed]*defence
}

// Urgent is the answers to disputes that are open: they go first into a block that this
// node proposes, so that neither a full mempool nor another proposer can keep them out.
func (d *defences) Urgent() (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.open {
		if x.answer != nil {
			out = append(out, x.answer)
		}
	}
	return out
}

// look starts what is due, and forgets what was decided.
func (d *defences) look(ctx context.Context) error {
	if !d.r.n.ledger.AtTip() {
		return nil // what is caught up with was decided long ago
	}
	v, err := d.r.n.ledger.View(ctx)
	if err != nil {
		return err
	}
	n, err := v.OpenDisputes()
	if err != nil || n == 0 {
		d.keep(nil)
		return err
	}
	head, err := v.Head()
	if err != nil {
		return err
	}
	p, err := v.Params()
	if err != nil {
		return err
	}
	var open []disputed
	err = v.EachDispute(func(ordinal uint64, s blob.Shard, x ledger.DisputeRecord) error {
		if x.State != ledger.DisputeOpen {
			return nil
		}
		at := disputed{ordinal, s}
		open = append(open, at)
		mine, holds, err := d.mine(v, at)
		if err == nil && mine {
			d.begin(ctx, at, d.dueAt(at, x, holds, p), head.Height)
		}
		return err
	})
	d.keep(open)
	return err
}

// mine says that the node voted for what is disputed, or holds it.
func (d *defences) mine(v ledger.View, at disputed) (mine, holds bool, err error) {
	r, known, err := v.RoundOf(at.ordinal)
	if err != nil || !known {
		return false, false, err
	}
	c, err := v.Committee(r.Round.Epoch)
	if err != nil {
		return false, false, err
	}
	holds = c.Holder[at.shard] == d.r.n.id
	i, in := c.Index(d.r.n.id)
	for _, vote := range r.Votes {
		if in && int(vote.Node) == i && (challenge.Vote{Yes: vote.Yes}).Yea(int(at.shard)) {
			mine = true
		}
	}
	return mine || holds, holds, nil
}

// dueAt is when the node answers; it stays what it was at the first look.
func (d *defences) dueAt(at disputed, x ledger.DisputeRecord, holds bool, p ledger.Params) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was := d.open[at]; was != nil {
		return was.due
	}
	if holds {
		return x.Opened
	}
	return x.Opened + holderAhead + rand.N(1+(x.AnswerBy-x.Opened)/answerSpread)
}

// begin notes a dispute, and answers it once that is due.
func (d *defences) begin(ctx context.Context, at disputed, due, height uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.open[at]
	if x == nil {
		x = &defence{due: due}
		d.open[at] = x
	}
	if x.busy || height < x.due {
		return
	}
	x.busy = true
	d.r.tasks.Go(func() {
		err := d.defend(ctx, at, x)
		d.mu.Lock()
		x.busy, x.due = false, height+1 // again with the next block, if it is open then
		d.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			d.r.n.log.Warn("a proof that this node voted for is disputed, and it could not answer yet: if nobody does, it is slashed", "round", at.ordinal, "shard", at.shard, "err", err)
		}
	})
}

// keep forgets all but what is open.
func (d *defences) keep(open []disputed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at := range d.open {
		if !slices.Contains(open, at) {
			delete(d.open, at)
		}
	}
}

// defend shows the ledger the proof.
func (d *defences) defend(ctx context.Context, at disputed, x *defence) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	d.mu.Lock()
	tx := x.answer
	d.mu.Unlock()
	if tx == nil {
		var err error
		if tx, err = d.answer(ctx, at); err != nil {
			return err
		}
		d.mu.Lock()
		x.answer = tx
		d.mu.Unlock()
	}
	receipt, err := d.r.n.ledger.Submit(ctx, tx)
	if err == nil {
		err = receipt.Err()
	}
	switch {
	case errors.Is(err, ledger.ErrNoDispute):
		return nil // another was quicker
	case err != nil:
		return err
	}
	d.r.n.log.Info("a disputed proof was shown", "round", at.ordinal, "shard", at.shard, "height", receipt.Height)
	return nil
}

// answer makes the transaction.
func (d *defences) answer(ctx context.Context, at disputed) ([]byte, error) {
	v, err := d.r.n.ledger.View(ctx)
	if err != nil {
		return nil, err
	}
	own, _, err := v.Node(d.r.n.id)
	if err != nil {
		return nil, err
	}
	p, err := d.proof(ctx, v, at)
	if err != nil {
		return nil, err
	}
	return ledger.Unsigned(ledger.Answer{Ordinal: at.ordinal, Shard: at.shard, Proof: p.Encode(), To: own.Payout}), nil
}

// proof finds the proof: what this node has heard, or, if it has forgotten that in a
// restart, what it proves anew of its own shard, or what others have heard.
func (d *defences) proof(ctx context.Context, v ledger.View, at disputed) (challenge.Proof, error) {
	state, known, err := v.RoundOf(at.ordinal)
	if err == nil && !known {
		err = fmt.Errorf("round %d is not kept", at.ordinal)
	}
	if err != nil {
		return challenge.Proof{}, err
	}
	c, err := v.Committee(state.Round.Epoch)
	if err != nil {
		return challenge.Proof{}, err
	}
	p, err := v.Params()
	if err != nil {
		return challenge.Proof{}, err
	}
	if h := d.r.hearing(state.Round); h != nil {
		if got, ok := proofIn(h, at.shard); ok {
			return got, nil
		}
	}
	if raw, ok := d.r.bodies.get(at.ordinal, at.shard); ok {
		if m, err := challenge.DecodeMessage(raw); err == nil {
			return m.Proof, nil
		}
	}
	h := newHearing(d.r.n.chain, state, c, p, false)
	if c.Holder[at.shard] == d.r.n.id {
		return (Part{d.r, h}).ProveShard(at.shard)
	}
	if id, err := p2p.PeerOf(c.Holder[at.shard][:]); err == nil {
		d.r.askFor(ctx, h, id, []blob.Shard{at.shard})
	}
	for _, id := range d.r.gossip.Peers(d.r.topic) {
		if got, ok := proofIn(h, at.shard); ok {
			return got, nil
		}
		d.r.askFor(ctx, h, id, []blob.Shard{at.shard})
	}
	if got, ok := proofIn(h, at.shard); ok {
		return got, nil
	}
	return challenge.Proof{}, errNoBody
}

// proofIn is a proof that was heard, and so holds.
func proofIn(h *hearing, s blob.Shard) (challenge.Proof, bool) {
	raw, ok := h.body(s)
	if !ok {
		return challenge.Proof{}, false
	}
	m, err := challenge.DecodeMessage(raw)
	return m.Proof, err == nil
}
