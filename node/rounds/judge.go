package rounds

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// earlyRounds is the number of rounds ahead of the ledger's whose proofs are kept until
// they are drawn: a node that is a block behind must not lose them.
const earlyRounds = 1

// earlyKey names a shard in a round to come. One message is kept for each.
type earlyKey struct {
	round challenge.RoundID
	shard blob.Shard
}

// handler judges gossiped messages. run is the context of the tasks that they begin: it
// ends with Run, while a message's own context ends after some seconds.
func (p *Participant) handler(run context.Context) p2p.Handler {
	return func(ctx context.Context, _ peer.ID, raw []byte) p2p.Validation { return p.judge(ctx, run, raw) }
}

func (p *Participant) judge(ctx, run context.Context, raw []byte) p2p.Validation {
	m, err := challenge.DecodeMessage(raw)
	if err != nil {
		return p2p.Reject
	}
	b := p.inbox(m.Proof.Round)
	if b == nil {
		switch soon, forged := p.soon(ctx, m.Proof); {
		case forged:
			return p2p.Reject
		case !soon:
			return p2p.Ignore
		}
		if b = p.keepEarly(m, raw); b == nil {
			return p2p.Ignore
		}
	}
	switch err := p.take(run, b, m, raw); {
	case err == nil:
		return p2p.Accept
	case errors.Is(err, errUnsigned), errors.Is(err, errFalse), errors.Is(err, errNotAsked):
		return p2p.Reject
	}
	return p2p.Ignore
}

// take puts a message into its round's inbox. A false proof with its holder's signature is
// also shown to the ledger, by a task that ends with run.
func (p *Participant) take(run context.Context, b *inbox, m challenge.Message, raw []byte) error {
	err := b.judge(m, raw)
	if errors.Is(err, errFalse) && b.accuse(m.Proof.Shard) {
		p.task(func() {
			if !p.accuse(run, b, m.Proof) {
				b.release(m.Proof.Shard)
			}
		})
	}
	return err
}

// soon says that a proof is of a round that may be drawn next, and signed by the node
// that holds its shard then: other messages are not kept, since any peer can make them.
// forged says that it is of such a round, and of no holder: the committee is known, so
// the peer that passed it on could have checked it.
func (p *Participant) soon(ctx context.Context, proof challenge.Proof) (soon, forged bool) {
	v, err := p.Ledger.View(ctx)
	if err != nil {
		return false, false
	}
	state, _, err := v.Round()
	if err != nil || !next(state.Round, proof.Round) && (state.Over || proof.Round != state.Round) {
		return false, false
	}
	c, err := v.Committee(proof.Round.Epoch)
	if err != nil {
		return false, false // a node that is a block ahead may know it
	}
	if int(proof.Shard) >= len(c.Holder) {
		return false, true
	}
	if c.Holder[proof.Shard].PublicKey().Verify(challenge.ProofMessage(p.Chain, proof), proof.Signature) != nil {
		return false, true
	}
	return true, false
}

// next says that a round is one of the earlyRounds after another.
func next(now, then challenge.RoundID) bool {
	return then.Epoch == now.Epoch && then.Round > now.Round && then.Round <= now.Round+earlyRounds || then.Epoch == now.Epoch+1 && then.Round < earlyRounds
}

// keepEarly keeps a message of a round to come, the first for its shard. If the round's
// inbox was opened meanwhile, it returns the inbox and keeps nothing: takeEarly has
// looked already.
func (p *Participant) keepEarly(m challenge.Message, raw []byte) (open *inbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.now.state.Round == m.Proof.Round {
		return p.now
	}
	if len(p.early) >= blob.MaxShards {
		return nil
	}
	key := earlyKey{m.Proof.Round, m.Proof.Shard}
	if _, has := p.early[key]; !has {
		p.early[key] = raw
	}
	return nil
}

// takeEarly takes the messages that came before this node had drawn the round, and
// passes the valid ones on, as it would have done then.
func (p *Participant) takeEarly(run context.Context, b *inbox) {
	p.mu.Lock()
	var list [][]byte
	for k, raw := range p.early {
		if k.round == b.state.Round {
			list = append(list, raw)
		}
	}
	clear(p.early)
	p.mu.Unlock()
	if len(list) == 0 {
		return
	}
	p.task(func() {
		var good [][]byte
		for _, raw := range list {
			if m, err := challenge.DecodeMessage(raw); err == nil && p.take(run, b, m, raw) == nil {
				good = append(good, raw)
			}
		}
		if err := p.gossip.Publish(run, p.topic, good); err != nil {
			p.Log.Debug("send early proofs on", "err", err)
		}
	})
}

// accuse shows the ledger a false proof with its holder's signature. known says that the
// ledger has it.
func (p *Participant) accuse(ctx context.Context, b *inbox, proof challenge.Proof) (known bool) {
	f, shown := b.ask(proof.Shard).Falsehood(proof)
	if proof.Beacon != b.state.Beacon {
		shown = true
	}
	if !shown {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, submitLimit)
	defer cancel()
	v, err := p.Ledger.View(limited)
	if err != nil {
		return false
	}
	own, _, err := v.Node(p.id)
	if err != nil {
		return false
	}
	receipt, err := p.Ledger.Submit(limited, ledger.Unsigned(ledger.Accuse{Ordinal: b.state.Ordinal, Evidence: f.Encode(), Finder: own.Payout}))
	if err == nil {
		err = receipt.Err()
	}
	if ctx.Err() != nil {
		return false
	}
	holder := b.committee.Holder[proof.Shard]
	if err != nil && !errors.Is(err, ledger.ErrKnown) {
		p.Log.Warn("accuse the signer of a false proof", "node", holder, "shard", proof.Shard, "err", err)
		return false
	}
	p.Log.Info("a false proof is on the ledger", "node", holder, "shard", proof.Shard, "round", proof.Round.Round)
	return true
}
