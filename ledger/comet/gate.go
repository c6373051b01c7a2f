package comet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/blocksync"
	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/evidence"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	bcproto "github.com/cometbft/cometbft/proto/tendermint/blocksync"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	"github.com/cometbft/cometbft/statesync"
	"github.com/cometbft/cometbft/types"
)

// What a peer outside the committee may ask for.
const (
	strangerAsks   = 150 // blocks a second, which is what a node that catches up needs
	registeredAsks = 300
	outsidersAsk   = 400 // a second, of all of them together
	outsiderSays   = 200 // messages a second about where it stands, and transactions
	aheadHeights   = 2   // blocks that a vote or a part of a proposal may be ahead of this node
)

// gate stands before CometBFT's reactors, which treat all peers alike: only members of
// the committee take part in the agreement. A peer outside it follows the chain: it is
// sent blocks, it says where it stands, and it may hand in transactions, all within rates.
type gate struct {
	peers  *peers
	gossip *gossip
	height func() int64 // of the last block that was applied

	mu        sync.Mutex // guards rates
	rates     map[p2p.ID]*rates
	outsiders *tokens
}

// rates is what one peer still may do.
type rates struct {
	asks, says *tokens
}

func newGate(p *peers, gossip *gossip, height func() int64) *gate {
	return &gate{peers: p, gossip: gossip, height: height, rates: map[p2p.ID]*rates{}, outsiders: newTokens(outsidersAsk)}
}

// guardReactors puts the gate before the reactors of a node that has not started.
func (g *gate) guardReactors(n *node.Node) (*p2p.Switch, error) {
	sw, ok := n.Switch().(*p2p.Switch)
	if !ok {
		return nil, fmt.Errorf("ledger: CometBFT runs on another transport than the classic one: %T", n.Switch())
	}
	guarded := map[string]p2p.Reactor{}
	for name, r := range sw.Reactors() {
		switch r := r.(type) {
		case *consensus.Reactor:
			guarded[name] = agreementGate{r, g}
		case *mempool.Reactor:
			guarded[name] = mempoolGate{r, g}
		case *blocksync.Reactor:
			guarded[name] = blocksGate{r, g}
		case *evidence.Reactor:
			guarded[name] = evidenceGate{r, g}
		case *statesync.Reactor:
			guarded[name] = snapshotGate{r}
		default:
			return nil, fmt.Errorf("ledger: CometBFT has a reactor %s that this program does not know: %T", name, r)
		}
	}
	node.CustomReactors(guarded)(n)
	p2p.SwitchPeerFilters(func(_ p2p.IPeerSet, peer p2p.Peer) error { return g.peers.admit(sw, peer) })(sw)
	return sw, nil
}

// isMember says whether a peer takes part in the agreement.
func (g *gate) isMember(p p2p.Peer) bool { return g.peers.of(p.ID()) == rankMember }

func (g *gate) ratesOf(p p2p.Peer) *rates {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.rates[p.ID()]
	if r == nil {
		asks := strangerAsks
		if g.peers.of(p.ID()) == rankRegistered {
			asks = registeredAsks
		}
		r = &rates{asks: newTokens(asks), says: newTokens(outsiderSays)}
		g.rates[p.ID()] = r
	}
	return r
}

func (g *gate) forget(p p2p.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.rates, p.ID())
}

// while is a context that ends with a peer's connection.
func while(p p2p.Peer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-p.Quit():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// agreementGate lets only members feed the agreement, and hands on by gossip of its own.
type agreementGate struct {
	*consensus.Reactor
	g *gate
}

// InitPeer keeps CometBFT's words on single votes from a peer.
func (r agreementGate) InitPeer(p p2p.Peer) p2p.Peer {
	return quietPeer{r.Reactor.InitPeer(p), new(atomic.Int64)}
}

// AddPeer starts the gossip with a peer.
func (r agreementGate) AddPeer(p p2p.Peer) {
	if !r.IsRunning() {
		_ = p.Stop() // the switch has stopped, and forgets a connection that it was making
		return
	}
	state, ok := p.Get(types.PeerStateKey).(*consensus.PeerState)
	if !ok {
		return
	}
	if !r.WaitSync() { // else it is told when this node has caught up
		p.Send(p2p.Envelope{ChannelID: consensus.StateChannel, Message: stepOf(r.g.gossip.now.Load())})
	}
	r.g.gossip.add(p, state)
}

// stepOf says where a node stands.
func stepOf(s *cstypes.RoundState) *cmtcons.NewRoundStep {
	return &cmtcons.NewRoundStep{Height: s.Height, Round: s.Round, Step: uint32(s.Step),
		SecondsSinceStartTime: int64(time.Since(s.StartTime).Seconds()), LastCommitRound: s.LastCommit.GetRound()}
}

// Receive drops what does not belong to the blocks that are decided now, before it is
// written to the consensus log.
func (r agreementGate) Receive(e p2p.Envelope) {
	if !r.g.isMember(e.Src) {
		// It may say where it stands, so that blocks are sent to it, and no more.
		switch e.Message.(type) {
		case *cmtcons.NewRoundStep, *cmtcons.NewValidBlock, *cmtcons.HasVote:
			if e.ChannelID != consensus.StateChannel || !r.g.ratesOf(e.Src).says.take(1) {
				return
			}
		default:
			// A node that is behind does not know today's committee: what a peer that this node
			// dialed itself brings is looked at.
			if !e.Src.IsOutbound() {
				return
			}
		}
	}
	if h, has := heightOf(e.Message); has && (h < r.g.height() || h > r.g.height()+aheadHeights) {
		return
	}
	if state, ok := e.Src.Get(types.PeerStateKey).(*consensus.PeerState); ok && r.IsRunning() && !r.WaitSync() {
		switch m := e.Message.(type) {
		case *cmtcons.VoteSetBits:
			if e.ChannelID == consensus.VoteSetBitsChannel && r.g.gossip.takesBits(e.Src.ID(), state, m) {
				return
			}
		case *cmtcons.Vote:
			if e.ChannelID == consensus.VoteChannel && r.g.gossip.takesVote(state, m.Vote) {
				return
			}
		}
	}
	r.Reactor.Receive(e)
	r.g.gossip.heard(e.Src.ID(), e.Message)
}

// heightOf is the height of what would go into the consensus log.
func heightOf(m any) (height int64, has bool) {
	switch m := m.(type) {
	case *cmtcons.Vote:
		if m.Vote == nil {
			return 0, true
		}
		return m.Vote.Height, true
	case *cmtcons.Proposal:
		return m.Proposal.Height, true
	case *cmtcons.ProposalPOL:
		return m.Height, true
	case *cmtcons.BlockPart:
		return m.Height, true
	}
	return 0, false
}

// mempoolGate takes transactions of peers outside the committee within a rate, and sends
// them none: they propose no block.
type mempoolGate struct {
	*mempool.Reactor
	g *gate
}

func (r mempoolGate) AddPeer(p p2p.Peer) {
	if r.g.isMember(p) || p.IsOutbound() {
		r.Reactor.AddPeer(p)
	}
}

func (r mempoolGate) Receive(e p2p.Envelope) {
	if !r.g.isMember(e.Src) && !r.g.ratesOf(e.Src).says.take(1) {
		return
	}
	r.Reactor.Receive(e)
}

// blocksGate answers those outside the committee no faster than the agreement can bear.
type blocksGate struct {
	*blocksync.Reactor
	g *gate
}

func (r blocksGate) RemovePeer(p p2p.Peer, reason any) {
	r.g.forget(p)
	r.Reactor.RemovePeer(p, reason)
}

// FilterMsgBytes refuses blocks and heights of peers that this node did not ask: a
// stranger must not make a node believe that it is behind, or at the tip.
func (r blocksGate) FilterMsgBytes(channel byte, src p2p.Peer, b []byte) error {
	return r.Reactor.FilterMsgBytes(channel, src, b)
}

func (r blocksGate) Receive(e p2p.Envelope) {
	if r.g.isMember(e.Src) {
		r.Reactor.Receive(e)
		return
	}
	switch e.Message.(type) {
	case *bcproto.BlockRequest, *bcproto.StatusRequest:
		ctx, cancel := while(e.Src)
		defer cancel()
		// Waiting here slows down that peer alone: nothing more is read from it meanwhile.
		if r.g.ratesOf(e.Src).asks.wait(ctx) && r.g.outsiders.wait(ctx) && e.Src.IsRunning() {
			r.Reactor.Receive(e)
		}
	default:
		if e.Src.IsOutbound() { // this node chose to dial it
			r.Reactor.Receive(e)
		}
	}
}

// evidenceGate takes evidence from members only. Any other peer that has some shows it to
// the ledger, in a transaction.
type evidenceGate struct {
	*evidence.Reactor
	g *gate
}

func (r evidenceGate) AddPeer(p p2p.Peer) {
	if r.g.isMember(p) || p.IsOutbound() {
		r.Reactor.AddPeer(p)
	}
}

func (r evidenceGate) Receive(e p2p.Envelope) {
	if r.g.isMember(e.Src) {
		r.Reactor.Receive(e)
	}
}

// snapshotGate is deaf: this program takes no snapshots.
type snapshotGate struct{ *statesync.Reactor }

func (snapshotGate) AddPeer(p2p.Peer)         {}
func (snapshotGate) RemovePeer(p2p.Peer, any) {}
func (snapshotGate) Receive(p2p.Envelope)     {}

// tokens is a bucket of a second's worth of tokens that fills at a rate.
type tokens struct {
	rate float64 // a second

	mu   sync.Mutex // guards the fields below
	left float64
	at   time.Time
}

func newTokens(rate int) *tokens {
	return &tokens{rate: float64(rate), left: float64(rate), at: time.Now()}
}

// take takes n tokens if they are there.
func (t *tokens) take(n float64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.left = min(t.rate, t.left+now.Sub(t.at).Seconds()*t.rate)
	t.at = now
	if t.left < n {
		return false
	}
	t.left -= n
	return true
}

// wait takes one token, as soon as there is one.
func (t *tokens) wait(ctx context.Context) bool {
	for !t.take(1) {
		if !sleep(ctx, time.Duration(float64(time.Second)/t.rate)) {
			return false
		}
	}
	return ctx.Err() == nil
}
