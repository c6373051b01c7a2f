package rounds

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
	"github.com/walrus-network/walrus/unit"
)

const (
	answerLimit  = time.Minute // to find a proof, and to wait for a block that holds it
	holderAhead  = 2           // blocks in which only the shard's holder answers
	answerSpread = 4           // others begin within 1/answerSpread of the blocks for an answer
)

var errNoProof = errors.New("no peer that was asked has the proof")

// disputeID names a dispute: a shard in a round.
type disputeID struct {
	ordinal unit.Ordinal
	shard   blob.Shard
}

// defence is this node's answer to an open dispute.
type defence struct {
	due    unit.Height // height from which the node answers
	busy   bool        // a task works on it
	answer []byte      // the transaction; nil: not made yet
}

// defences answers disputes of proofs that this node attested: if no proof is shown, it is
// slashed for its vote. The holder of the shard goes first. Other nodes wait for a random
// number of blocks, so that the ledger gets one answer and not a hundred.
type defences struct {
	p *Participant

	mu   sync.Mutex // guards the field below
	open map[disputeID]*defence
}

// urgent lists the answers to open disputes. They go first into a block that this node
// proposes, so that neither a full mempool nor another proposer keeps them out.
func (d *defences) urgent() (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.open {
		if x.answer != nil {
			out = append(out, x.answer)
		}
	}
	return out
}

// look begins the answers that are due, and forgets decided disputes.
func (d *defences) look(ctx context.Context) error {
	if !d.p.Ledger.AtTip() {
		return nil // old blocks hold disputes that were decided long ago
	}
	v, err := d.p.Ledger.View(ctx)
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
	var open []disputeID
	err = v.EachDispute(func(ordinal unit.Ordinal, s blob.Shard, x ledger.DisputeRecord) error {
		if x.State != ledger.DisputeOpen {
			return nil
		}
		at := disputeID{ordinal, s}
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

// mine says that the node attested the disputed proof, or holds its shard.
func (d *defences) mine(v ledger.View, at disputeID) (mine, holds bool, err error) {
	r, known, err := v.RoundOf(at.ordinal)
	if err != nil || !known {
		return false, false, err
	}
	c, err := v.Committee(r.Round.Epoch)
	if err != nil {
		return false, false, err
	}
	holds = c.Holder[at.shard] == d.p.id
	i, in := c.Index(d.p.id)
	for _, vote := range r.Votes {
		if in && int(vote.Node) == i && vote.Yes.Has(at.shard) {
			mine = true
		}
	}
	return mine || holds, holds, nil
}

// dueAt is the height from which the node answers. It is drawn at the first look.
func (d *defences) dueAt(at disputeID, x ledger.DisputeRecord, holds bool, p ledger.Params) unit.Height {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was := d.open[at]; was != nil {
		return was.due
	}
	if holds {
		return x.Opened
	}
	return (x.Opened + holderAhead).Plus(rand.N(1 + x.AnswerBy.Since(x.Opened)/answerSpread))
}

// begin notes a dispute, and begins a task that answers it once that is due.
func (d *defences) begin(ctx context.Context, at disputeID, due, height unit.Height) {
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
	d.p.tasks.Go(func() {
		err := d.defend(ctx, at, x)
		d.mu.Lock()
		x.busy, x.due = false, height+1 // again with the next block, while it is open
		d.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			d.p.Log.Warn("a proof that this node voted for is disputed, and it could not answer yet: if no node does, this one is slashed", "round", at.ordinal, "shard", at.shard, "err", err)
		}
	})
}

// keep forgets all disputes but the open ones.
func (d *defences) keep(open []disputeID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at := range d.open {
		if !slices.Contains(open, at) {
			delete(d.open, at)
		}
	}
}

// defend shows the ledger the proof. run is the context of Run.
func (d *defences) defend(run context.Context, at disputeID, x *defence) error {
	ctx, cancel := context.WithTimeout(run, answerLimit)
	defer cancel()
	d.mu.Lock()
	tx := x.answer
	d.mu.Unlock()
	if tx == nil {
		var err error
		if tx, err = d.answer(ctx, run, at); err != nil {
			return err
		}
		d.mu.Lock()
		x.answer = tx
		d.mu.Unlock()
	}
	receipt, err := d.p.Ledger.Submit(ctx, tx)
	if err == nil {
		err = receipt.Err()
	}
	switch {
	case errors.Is(err, ledger.ErrNoDispute):
		return nil // another node was quicker
	case err != nil:
		return err
	}
	d.p.Log.Info("a disputed proof was shown", "round", at.ordinal, "shard", at.shard, "height", receipt.Height)
	return nil
}

// answer makes the transaction that shows the proof.
func (d *defences) answer(ctx, run context.Context, at disputeID) ([]byte, error) {
	v, err := d.p.Ledger.View(ctx)
	if err != nil {
		return nil, err
	}
	own, _, err := v.Node(d.p.id)
	if err != nil {
		return nil, err
	}
	p, err := d.proof(ctx, run, v, at)
	if err != nil {
		return nil, err
	}
	return ledger.Unsigned(ledger.Answer{Ordinal: at.ordinal, Shard: at.shard, Proof: p.Encode(), To: own.Payout}), nil
}

// proof finds the proof: in the node's inbox, in its archive, by proving its own shard
// again, or at other nodes. ctx bounds the search, run the tasks that an answer begins.
func (d *defences) proof(ctx, run context.Context, v ledger.View, at disputeID) (challenge.Proof, error) {
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
	if b := d.p.inbox(state.Round); b != nil {
		if got, ok := proofIn(b, at.shard); ok {
			return got, nil
		}
	}
	if raw, ok := d.p.archive.get(at.ordinal, at.shard); ok {
		if m, err := challenge.DecodeMessage(raw); err == nil {
			return m.Proof, nil
		}
	}
	b := newInbox(d.p.Chain, state, c, p, false)
	if c.Holder[at.shard] == d.p.id {
		return d.p.conduct.proveShard(ctx, Part{d.p, b}, at.shard)
	}
	if id, err := p2p.PeerOf(c.Holder[at.shard][:]); err == nil {
		d.p.askFor(ctx, run, b, id, []blob.Shard{at.shard})
	}
	for _, id := range d.p.gossip.Peers(d.p.topic) {
		if got, ok := proofIn(b, at.shard); ok {
			return got, nil
		}
		d.p.askFor(ctx, run, b, id, []blob.Shard{at.shard})
	}
	if got, ok := proofIn(b, at.shard); ok {
		return got, nil
	}
	return challenge.Proof{}, errNoProof
}

// proofIn is a proof in an inbox: it was checked.
func proofIn(b *inbox, s blob.Shard) (challenge.Proof, bool) {
	raw, ok := b.message(s)
	if !ok {
		return challenge.Proof{}, false
	}
	m, err := challenge.DecodeMessage(raw)
	return m.Proof, err == nil
}
