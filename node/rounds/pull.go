package rounds

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

const (
	pullLimit  = 10 * time.Second // for one peer's answer
	pullAtOnce = 32               // holders asked at the same time
	pullPeers  = 2                // other peers asked for the proofs that holders did not give
)

// pullIfDue asks for the proofs that gossip has not brought by T + Pull, and once more
// for promised proofs that are late.
func (p *Participant) pullIfDue(ctx context.Context, b *inbox, height unit.Height) {
	if b.pullDue(height) {
		p.task(func() { p.pull(ctx, b) })
	}
}

// pull asks the holder of each shard whose proof is missing, then some other peers.
func (p *Participant) pull(run context.Context, b *inbox) {
	byPeer := map[peer.ID][]blob.Shard{}
	for _, s := range b.missing() {
		if id, err := p2p.PeerOf(b.committee.Holder[s][:]); err == nil && b.committee.Holder[s] != p.id {
			byPeer[id] = append(byPeer[id], s)
		}
	}
	var asking errgroup.Group
	asking.SetLimit(pullAtOnce) // silent holders must not use up the time of the others
	for id, shards := range byPeer {
		asking.Go(func() error {
			p.askFor(run, run, b, id, shards)
			return nil
		})
	}
	asking.Wait()
	others := p.gossip.Peers(p.topic)
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for _, id := range others[:min(pullPeers, len(others))] {
		if missing := b.missing(); len(missing) > 0 {
			p.askFor(run, run, b, id, missing)
		}
	}
}

// askFor asks a peer for proofs and takes those that it gives. ctx bounds the question,
// run the tasks that an answer begins.
func (p *Participant) askFor(ctx, run context.Context, b *inbox, from peer.ID, shards []blob.Shard) {
	ctx, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	list, err := p.Host.AskProofs(ctx, from, b.state.Round.Epoch, b.state.Round.Round, shards)
	if err != nil {
		p.Log.Debug("ask for proofs", "peer", from, "err", err)
	}
	for _, raw := range list {
		if raw == nil {
			continue
		}
		if m, err := challenge.DecodeMessage(raw); err == nil {
			_ = p.take(run, b, m, raw) // the peer is not blamed: it may only pass the message on
		}
	}
}

// serveProof answers a peer that asks for a proof.
func (p *Participant) serveProof(_ context.Context, from peer.ID, epoch unit.Epoch, round unit.Round, shard blob.Shard) ([]byte, error) {
	b := p.inbox(challenge.RoundID{Epoch: epoch, Round: round})
	if b != nil && int(shard) < len(b.committee.Holder) && (b.committee.Holder[shard] != p.id || p.conduct.shows(from)) {
		if raw, ok := b.message(shard); ok {
			return raw, nil
		}
	}
	return nil, p2p.ErrNotHeld
}
