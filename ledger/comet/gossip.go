package comet

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/libs/pubsub"
	"github.com/cometbft/cometbft/p2p"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"
)

const (
	// gossipPause is the least time between two looks at what a peer lacks. The first
	// look after a change is at once; CometBFT's connections gather for as long.
	gossipPause = 10 * time.Millisecond
	// relayPause is the time by which another validator's vote is handed on later than an
	// own one: meanwhile peers say that they have it, and most copies are never sent.
	relayPause = 25 * time.Millisecond
	// gossipNet is the time after which a peer is looked at without a change: nothing
	// should hang on it.
	gossipNet = 5 * time.Second
	// partsLater is the time that the agreement takes, mostly, to check a proposal or a part
	// of a block: CometBFT tells of the whole block alone.
	partsLater = 3 * time.Millisecond
	// stuckFor is the time at one height and round after which a peer is asked which votes
	// it has, since one that was sent may have been lost.
	stuckFor = time.Second
	// gossipEvents is how many events may wait for gossip.
	gossipEvents = 1024
)

var noLog = cmtlog.NewNopLogger()

// gossip hands proposals, parts of blocks and votes on to the peers that lack them. It
// stands in the place of CometBFT's own routines, which look at each peer every few
// milliseconds, whether or not something has changed: here a change wakes them.
type gossip struct {
	agreement *consensus.State
	blocks    sm.BlockStore
	events    *types.EventBus
	extended  bool            // votes carry extensions: a vote without is refused
	self      types.Address   // of this node as a validator
	fail      func(broke any) // told of a panic: CometBFT's stores panic on a block that they cannot read

	now    atomic.Pointer[cstypes.RoundState] // as of the last change
	coming atomic.Bool                        // soon has been called, and has yet to act
	relays atomic.Bool                        // so has relay
	tells  atomic.Bool                        // so has tell

	mu    sync.Mutex // guards the fields below
	lanes map[p2p.ID]*lane
	ended bool
	wg    sync.WaitGroup // of the lanes
}

func newGossip(agreement *consensus.State, fail func(broke any), blocks sm.BlockStore, events *types.EventBus, extended bool, self types.Address) *gossip {
	g := &gossip{agreement: agreement, fail: fail, blocks: blocks, events: events, extended: extended, self: self, lanes: map[p2p.ID]*lane{}}
	g.refresh()
	return g
}

// refresh reads where the agreement stands; it waits while a block is being applied.
func (g *gossip) refresh() { g.now.Store(g.agreement.GetRoundState()) }

// run wakes the lanes at each change of the agreement until ctx ends.
func (g *gossip) run(ctx context.Context) {
	for ctx.Err() == nil {
		// Ends early where more events came than can wait: then it begins anew.
		g.follow(ctx)
	}
}

// follow wakes the lanes until a subscription ends.
func (g *gossip) follow(ctx context.Context) {
	const name = "walrus-gossip"
	var subs []types.Subscription
	for _, q := range []pubsub.Query{types.EventQueryVote, types.EventQueryNewRoundStep, types.EventQueryCompleteProposal, types.EventQueryValidBlock} {
		s, err := g.events.Subscribe(ctx, name, q, gossipEvents)
		if err != nil {
			sleep(ctx, time.Second) // it has not started, or has ended
			break
		}
		subs = append(subs, s)
	}
	defer func() { _ = g.events.UnsubscribeAll(context.WithoutCancel(ctx), name) }()
	if len(subs) < 4 {
		return
	}
	votes, steps, whole, valid := subs[0], subs[1], subs[2], subs[3]
	g.refresh() // what came before is not told any more
	g.each((*lane).wakeData)
	g.each((*lane).wakeVotes)
	for {
		select {
		case <-ctx.Done():
			return
		case <-votes.Canceled():
			return
		case <-steps.Canceled():
			return
		case <-whole.Canceled():
			return
		case <-valid.Canceled():
			return
		case m := <-votes.Out():
			// The sets of votes are shared with the agreement: what is known of its state
			// will do, and reading it may have to wait for a block.
			if v, ok := m.Data().(types.EventDataVote); ok && bytes.Equal(v.Vote.ValidatorAddress, g.self) {
				g.each((*lane).wakeVotes)
			} else {
				g.relay()
			}
			g.tell()
			continue
		case <-steps.Out():
		case <-whole.Out():
		case <-valid.Out():
		}
		g.refresh()
		g.each((*lane).wakeData)
		g.relay()
	}
}

// soon hands on parts of blocks once the agreement has taken in what it is being handed.
func (g *gossip) soon() {
	if g.coming.Swap(true) {
		return
	}
	time.AfterFunc(partsLater, func() {
		g.coming.Store(false)
		g.refresh()
		g.each((*lane).wakeData)
	})
}

// relay hands on the votes of others in a moment, all that have come by then.
func (g *gossip) relay() {
	if g.relays.Swap(true) {
		return
	}
	time.AfterFunc(relayPause, func() {
		g.relays.Store(false)
		g.each((*lane).wakeVotes)
	})
}

// each calls wake for all lanes.
func (g *gossip) each(wake func(*lane)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lanes {
		wake(l)
	}
}

// heard takes note of a message in which a peer says where it stands.
func (g *gossip) heard(id p2p.ID, m any) {
	g.mu.Lock()
	l := g.lanes[id]
	g.mu.Unlock()
	if l == nil {
		return
	}
	switch m.(type) {
	case *cmtcons.NewRoundStep:
		l.wakeData()
		l.wakeVotes()
	case *cmtcons.NewValidBlock:
		l.wakeData()
	case *cmtcons.ProposalPOL, *cmtcons.VoteSetBits:
		l.wakeVotes()
	case *cmtcons.Proposal, *cmtcons.BlockPart:
		g.soon()
	} // a vote that it has is one less to send, and CometBFT tells of the votes that it sent
}

// add begins to hand on to a peer, until its connection ends. CometBFT's switch ends the
// connections that it has when it stops, and forgets one that it is making just then: that
// one ends here.
func (g *gossip) add(peer p2p.Peer, state *consensus.PeerState) {
	l := &lane{gossip: g, peer: peer, state: state, votes: make(chan struct{}, 1), data: make(chan struct{}, 1), told: map[cmtproto.SignedMsgType]told{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		_ = peer.Stop() // an error says that it had stopped
		return
	}
	g.lanes[peer.ID()] = l
	g.start(func() { l.run(l.data, l.sendData) })
	g.start(func() { l.run(l.votes, l.sendVotes) })
	g.start(func() {
		l.ask()
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.lanes[peer.ID()] == l {
			delete(g.lanes, peer.ID())
		}
	})
}

// start runs a part of a lane; a panic in it does not end the process without a reason.
func (g *gossip) start(part func()) {
	g.wg.Go(func() {
		defer func() {
			if broke := recover(); broke != nil {
				g.fail(broke)
			}
		}()
		part()
	})
}

// end lets no other lane begin, ends the connections that have not ended yet, and waits for
// their lanes.
func (g *gossip) end() {
	g.mu.Lock()
	g.ended = true
	left := slices.Collect(maps.Values(g.lanes))
	g.mu.Unlock()
	for _, l := range left {
		_ = l.peer.Stop() // an error says that it had stopped
	}
	g.wg.Wait()
}

// lane is what is handed on to one peer. Votes do not wait behind the parts of a block.
type lane struct {
	*gossip
	peer        p2p.Peer
	state       *consensus.PeerState // what the peer has
	votes, data chan struct{}        // each holds a wake-up
	asked       atomic.Int64         // when the peer was asked for its votes, Unix ns
	due         atomic.Int32         // its answers that have not come

	told map[cmtproto.SignedMsgType]told // of gossip.tell alone
}

func (l *lane) wakeVotes() { awake(l.votes) }
func (l *lane) wakeData()  { awake(l.data) }

func awake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake
	}
}

// run sends what the peer lacks at each wake-up.
func (l *lane) run(woken <-chan struct{}, send func()) {
	net := time.NewTimer(gossipNet)
	defer net.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for l.peer.IsRunning() {
		send()
		pause.Reset(gossipPause)
		select {
		case <-l.peer.Quit():
			return
		case <-pause.C:
		}
		net.Reset(gossipNet)
		select {
		case <-l.peer.Quit():
			return
		case <-woken:
		case <-net.C:
		}
	}
}

// sendData sends the proposal and the parts of its block, or of an earlier block to a peer
// that is behind, until the peer has all or its queue is full.
func (l *lane) sendData() {
	for l.peer.IsRunning() {
		ours, theirs := l.now.Load(), l.state.GetRoundState()
		if part := l.part(ours, theirs); part != nil {
			if !l.state.SendPartSetHasPart(part, theirs) {
				return
			}
			continue
		}
		if ours.Height != theirs.Height || ours.Round != theirs.Round || ours.Proposal == nil || theirs.Proposal {
			return
		}
		l.state.SendProposalSetHasProposal(noLog, ours, theirs)
		if now := l.state.GetRoundState(); now.Height == theirs.Height && now.Round == theirs.Round && !now.Proposal {
			return // its queue is full
		}
	}
}

// part is a part of a block that the peer lacks; nil: there is none.
func (l *lane) part(ours *cstypes.RoundState, theirs *cstypes.PeerRoundState) *types.Part {
	if parts := ours.ProposalBlockParts; parts.HasHeader(theirs.ProposalBlockPartSetHeader) {
		if i, ok := parts.BitArray().Sub(theirs.ProposalBlockParts.Copy()).PickRandom(); ok {
			return parts.GetPart(i)
		}
	}
	base := l.blocks.Base()
	if base == 0 || theirs.Height <= 0 || theirs.Height >= ours.Height || theirs.Height < base {
		return nil
	}
	meta := l.blocks.LoadBlockMeta(theirs.Height)
	if meta == nil {
		return nil
	}
	if theirs.ProposalBlockParts == nil {
		l.state.InitProposalBlockParts(meta.BlockID.PartSetHeader)
		theirs = l.state.GetRoundState()
	}
	i, ok := theirs.ProposalBlockParts.Not().PickRandom()
	if !ok || theirs.Height != meta.Header.Height || !meta.BlockID.PartSetHeader.Equals(theirs.ProposalBlockPartSetHeader) {
		return nil
	}
	return l.blocks.LoadBlockPart(theirs.Height, i)
}

// sendVotes sends the votes that the peer lacks and can use, until it has all or its queue
// is full.
func (l *lane) sendVotes() {
	for l.peer.IsRunning() {
		vote := l.vote(l.now.Load(), l.state.GetRoundState())
		if vote == nil || !l.sendVote(vote) {
			return
		}
	}
}

func (l *lane) sendVote(v *types.Vote) bool {
	ok := l.peer.Send(p2p.Envelope{ChannelID: consensus.VoteChannel, Message: &cmtcons.Vote{Vote: v.ToProto()}})
	if ok {
		l.state.SetHasVote(v)
	}
	return ok
}

// vote is a vote that the peer lacks; nil: there is none.
func (l *lane) vote(ours *cstypes.RoundState, theirs *cstypes.PeerRoundState) *types.Vote {
	for _, set := range useful(ours, theirs) {
		if v := l.state.PickVoteToSend(set); v != nil {
			return v
		}
	}
	if base := l.blocks.Base(); base == 0 || theirs.Height <= 0 || theirs.Height > ours.Height-2 || theirs.Height < base {
		return nil
	}
	// It is further behind: the commit of its block lets it go on.
	commit := l.commit(theirs.Height)
	if commit == nil {
		return nil
	}
	for v := l.state.PickVoteToSend(commit); v != nil; v = l.state.PickVoteToSend(commit) {
		if !l.sendVote(v) {
			break
		}
	}
	return nil
}

// commit is the votes for a block that is done; nil: they are not kept here.
func (l *lane) commit(height int64) *types.ExtendedCommit {
	if l.extended {
		return l.blocks.LoadBlockExtendedCommit(height)
	}
	if c := l.blocks.LoadBlockCommit(height); c != nil {
		return c.WrappedExtendedCommit()
	}
	return nil
}

// useful is the sets of votes that bring a peer further where it stands, most useful first.
func useful(ours *cstypes.RoundState, theirs *cstypes.PeerRoundState) (sets []types.VoteSetReader) {
	if theirs.Height != 0 && ours.Height == theirs.Height+1 {
		return []types.VoteSetReader{ours.LastCommit}
	}
	if ours.Height != theirs.Height {
		return nil
	}
	prevotes := func(round int32) {
		if set := ours.Votes.Prevotes(round); set != nil {
			sets = append(sets, set)
		}
	}
	if theirs.Step == cstypes.RoundStepNewHeight {
		sets = append(sets, ours.LastCommit)
	}
	known := theirs.Round != -1 && theirs.Round <= ours.Round
	// The prevotes by which a proposal of an earlier round may be repeated.
	if known && theirs.ProposalPOLRound != -1 && theirs.Step <= cstypes.RoundStepPropose {
		prevotes(theirs.ProposalPOLRound)
	}
	if known && theirs.Step <= cstypes.RoundStepPrevoteWait {
		prevotes(theirs.Round)
	}
	if known && theirs.Step <= cstypes.RoundStepPrecommitWait {
		if set := ours.Votes.Precommits(theirs.Round); set != nil {
			sets = append(sets, set)
		}
	}
	if known {
		prevotes(theirs.Round) // late ones may still make its block valid
	}
	if theirs.ProposalPOLRound != -1 {
		prevotes(theirs.ProposalPOLRound)
	}
	return sets
}

// ask asks a peer which votes it has, whenever it has stood at one height and round for a
// while: votes that were sent can be lost. A peer that has caught up says where it stands
// a moment before it takes votes.
func (l *lane) ask() {
	tick := time.NewTicker(stuckFor)
	defer tick.Stop()
	var height int64
	var round int32
	for {
		select {
		case <-l.peer.Quit():
			return
		case <-tick.C:
		}
		theirs := l.state.GetRoundState()
		if theirs.Height != height || theirs.Round != round {
			height, round = theirs.Height, theirs.Round
			continue
		}
		list := l.questions(l.now.Load(), theirs)
		l.due.Store(int32(len(list)))
		for _, q := range list {
			l.asked.Store(time.Now().UnixNano())
			l.peer.TrySend(p2p.Envelope{ChannelID: consensus.StateChannel, Message: q})
		}
	}
}

// questions name the blocks for which this node has seen more than two thirds of the
// power vote.
func (l *lane) questions(ours *cstypes.RoundState, theirs *cstypes.PeerRoundState) (out []*cmtcons.VoteSetMaj23) {
	about := func(kind cmtproto.SignedMsgType, round int32, set *types.VoteSet) {
		if id, ok := set.TwoThirdsMajority(); ok {
			out = append(out, &cmtcons.VoteSetMaj23{Height: theirs.Height, Round: round, Type: kind, BlockID: id.ToProto()})
		}
	}
	if ours.Height == theirs.Height {
		about(cmtproto.PrevoteType, theirs.Round, ours.Votes.Prevotes(theirs.Round))
		about(cmtproto.PrecommitType, theirs.Round, ours.Votes.Precommits(theirs.Round))
		if r := theirs.ProposalPOLRound; r >= 0 {
			about(cmtproto.PrevoteType, r, ours.Votes.Prevotes(r))
		}
	}
	if theirs.CatchupCommitRound != -1 && theirs.Height > 0 && theirs.Height <= l.blocks.Height() && theirs.Height >= l.blocks.Base() {
		commit := l.blocks.LoadBlockCommit(theirs.Height)
		if commit == nil {
			commit = l.blocks.LoadSeenCommit(theirs.Height)
		}
		if commit != nil {
			out = append(out, &cmtcons.VoteSetMaj23{Height: theirs.Height, Round: commit.Round, Type: cmtproto.PrecommitType, BlockID: commit.BlockID.ToProto()})
		}
	}
	return out
}
