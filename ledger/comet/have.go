package comet

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/libs/bits"
	"github.com/cometbft/cometbft/p2p"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// tellPause is the time for which votes are gathered until peers are told that this node
// has them. It is shorter than relayPause: what a peer was told of in time is not sent.
const tellPause = 8 * time.Millisecond

// quietPeer is a peer that is told of votes by lane.tell, many at once. CometBFT tells each
// peer of each vote: with n validators and d peers of each, 2 n^2 d messages a block, ten
// times as many as it takes to bring the votes.
type quietPeer struct {
	p2p.Peer
	spoken *atomic.Int64 // when the agreement last said something to it, Unix ns; 0: not yet
}

// TrySend drops CometBFT's words on single votes.
func (p quietPeer) TrySend(e p2p.Envelope) bool {
	if _, ok := e.Message.(*cmtcons.HasVote); ok {
		return true
	}
	return p.noted(e, p.Peer.TrySend(e))
}

// Send takes note of what the agreement says.
func (p quietPeer) Send(e p2p.Envelope) bool { return p.noted(e, p.Peer.Send(e)) }

func (p quietPeer) noted(e p2p.Envelope, sent bool) bool {
	switch e.ChannelID {
	case consensus.StateChannel, consensus.DataChannel, consensus.VoteChannel, consensus.VoteSetBitsChannel:
		if sent {
			p.spoken.Store(time.Now().UnixNano())
		}
	}
	return sent
}

// spokenTo is when the agreement last said something to a peer; zero: not yet, or unknown.
func spokenTo(p p2p.Peer) (at time.Time) {
	if q, ok := p.(quietPeer); ok {
		if ns := q.spoken.Load(); ns != 0 {
			at = time.Unix(0, ns)
		}
	}
	return at
}

// tell tells all peers, in a moment, which votes this node has.
func (g *gossip) tell() {
	if g.tells.Swap(true) {
		return
	}
	time.AfterFunc(tellPause, func() {
		g.tells.Store(false)
		g.each((*lane).tell)
	})
}

// told is the votes of one kind that a peer has been told of.
type told struct {
	height int64
	round  int32
	kind   cmtproto.SignedMsgType
	votes  int
}

// tell tells the peer which votes for the block of now, or the last one, this node has.
func (l *lane) tell() {
	ours, theirs := l.now.Load(), l.state.GetRoundState()
	switch {
	case ours.Height == theirs.Height && ours.Round == theirs.Round:
		id, ok := forVotes(ours)
		if ok {
			l.tellOf(ours.Votes.Prevotes(ours.Round), id)
			l.tellOf(ours.Votes.Precommits(ours.Round), id)
		}
		fallthrough
	case ours.Height == theirs.Height+1:
		if id, ok := ours.LastCommit.TwoThirdsMajority(); ok {
			l.tellOf(ours.LastCommit, id)
		}
	}
}

// forVotes is the block that the votes of a round are mostly for.
func forVotes(s *cstypes.RoundState) (id types.BlockID, ok bool) {
	if s.ProposalBlock == nil || !s.ProposalBlockParts.IsComplete() {
		return id, false
	}
	return types.BlockID{Hash: s.ProposalBlock.Hash(), PartSetHeader: s.ProposalBlockParts.Header()}, true
}

func (l *lane) tellOf(set *types.VoteSet, id types.BlockID) {
	votes := set.BitArrayByBlockID(id)
	if votes == nil || votes.IsEmpty() {
		return
	}
	now := told{set.GetHeight(), set.GetRound(), cmtproto.SignedMsgType(set.Type()), count(votes)}
	if l.told[now.kind] == now {
		return
	}
	m := &cmtcons.VoteSetBits{Height: now.height, Round: now.round, Type: now.kind, BlockID: id.ToProto(), Votes: *votes.ToProto()}
	if l.peer.TrySend(p2p.Envelope{ChannelID: consensus.VoteSetBitsChannel, Message: m}) {
		l.told[now.kind] = now
	}
}

func count(b *bits.BitArray) (n int) {
	for i := range b.Size() {
		if b.GetIndex(i) {
			n++
		}
	}
	return n
}

// takesBits takes note of the votes that a peer says it has. It is false for the answer to
// a question of this node, which CometBFT takes: the answer also says which votes the peer
// lacks, but what a peer says unasked may be older than votes that are under way to it.
func (g *gossip) takesBits(id p2p.ID, state *consensus.PeerState, m *cmtcons.VoteSetBits) bool {
	g.mu.Lock()
	l := g.lanes[id]
	g.mu.Unlock()
	if l == nil {
		return false
	}
	// One answer for each question: each makes this node send again what the peer lacks.
	if time.Since(time.Unix(0, l.asked.Load())) < 2*stuckFor && l.due.Add(-1) >= 0 {
		return false
	}
	msg, err := consensus.MsgFromProto(m)
	if err != nil || msg.ValidateBasic() != nil {
		return false // CometBFT says what is wrong
	}
	said, ok := msg.(*consensus.VoteSetBitsMessage)
	if !ok {
		return false
	}
	ours := g.now.Load()
	size := ours.Validators.Size()
	state.EnsureVoteBitArrays(ours.Height, size)
	state.EnsureVoteBitArrays(ours.Height-1, ours.LastCommit.Size())
	for i := range min(said.Votes.Size(), size) {
		if said.Votes.GetIndex(i) {
			state.SetHasVote(&types.Vote{Height: said.Height, Round: said.Round, Type: said.Type, ValidatorIndex: int32(i)})
		}
	}
	return true
}

// takesVote takes note that a peer has a vote which this node has as well: it is spared
// the consensus log.
func (g *gossip) takesVote(state *consensus.PeerState, v *cmtproto.Vote) bool {
	if v == nil {
		return false
	}
	ours := g.now.Load()
	var set *types.VoteSet
	switch {
	case v.Height == ours.Height && v.Type == cmtproto.PrevoteType:
		set = ours.Votes.Prevotes(v.Round)
	case v.Height == ours.Height && v.Type == cmtproto.PrecommitType:
		set = ours.Votes.Precommits(v.Round)
	case v.Height+1 == ours.Height && v.Type == cmtproto.PrecommitType && v.Round == ours.LastCommit.GetRound():
		set = ours.LastCommit
	}
	if v.ValidatorIndex < 0 || int(v.ValidatorIndex) >= set.Size() {
		return false
	}
	known := set.GetByIndex(v.ValidatorIndex)
	if known == nil || !bytes.Equal(known.Signature, v.Signature) || !bytes.Equal(known.ExtensionSignature, v.ExtensionSignature) {
		return false
	}
	state.SetHasVoteFromPeer(known, ours.Height, ours.Validators.Size(), ours.LastCommit.Size())
	return true
}
