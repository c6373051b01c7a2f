package comet

import (
	"testing"

	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/bits"
	"github.com/cometbft/cometbft/p2p"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// sameRound is the gossip of a node at a height, and a peer that stands at the same one.
func sameRound(t *testing.T) (*gossip, *consensus.PeerState, *types.Vote) {
	t.Helper()
	w := newWorld(t, "have", 0)
	set := w.committee(t)
	votes := cstypes.NewHeightVoteSet("have", 10, set)
	state := consensus.NewPeerState(nil)
	state.ApplyNewRoundStepMessage(&consensus.NewRoundStepMessage{Height: 10, Round: 0, Step: cstypes.RoundStepPrevote, LastCommitRound: 0})
	g := &gossip{lanes: map[p2p.ID]*lane{"peer": {told: map[cmtproto.SignedMsgType]told{}}}}
	g.now.Store(&cstypes.RoundState{Height: 10, Validators: set, Votes: votes, LastCommit: types.NewVoteSet("have", 9, 0, cmtproto.PrecommitType, set)})
	key := ed25519.PrivKey(worldSecret(2).Key().Ed25519())
	i, _ := set.GetByAddress(key.PubKey().Address())
	v := &types.Vote{Type: cmtproto.PrevoteType, Height: 10, ValidatorAddress: key.PubKey().Address(), ValidatorIndex: i}
	var err error
	if v.Signature, err = key.Sign(types.VoteSignBytes("have", v.ToProto())); err != nil {
		t.Fatal(err)
	}
	return g, state, v
}

// A copy of a vote that is known tells that its sender has it, and goes no further. Any
// other vote is CometBFT's to judge.
func TestACopyOfAVoteIsSparedTheLog(t *testing.T) {
	g, state, v := sameRound(t)
	if g.takesVote(state, v.ToProto()) || g.takesVote(state, nil) {
		t.Error("a vote that is not known went no further")
	}
	if added, err := g.now.Load().Votes.AddVote(v, "other", false); !added || err != nil {
		t.Fatal(added, err)
	}
	if !g.takesVote(state, v.ToProto()) {
		t.Error("the copy of a known vote went on")
	}
	if !state.GetRoundState().Prevotes.GetIndex(int(v.ValidatorIndex)) {
		t.Error("the sender is not known to have the vote")
	}
	other := v.Copy()
	other.Signature = append([]byte{1}, other.Signature[1:]...)
	if g.takesVote(state, other.ToProto()) {
		t.Error("a vote with another signature was taken for a copy")
	}
	for _, i := range []int32{-1, 4, 1 << 30} {
		out := v.Copy()
		out.ValidatorIndex = i
		if g.takesVote(state, out.ToProto()) {
			t.Errorf("a vote of validator %d was taken for a copy", i)
		}
	}
}

// What a peer says unasked adds to what it is known to have, and takes nothing away: votes
// may be under way to it. The answer to a question does both.
func TestUnaskedBitsOnlyAdd(t *testing.T) {
	g, state, v := sameRound(t)
	state.EnsureVoteBitArrays(10, 4)
	state.SetHasVote(v)
	b := bits.NewBitArray(4)
	said := (int(v.ValidatorIndex) + 1) % 4
	b.SetIndex(said, true)
	m := &cmtcons.VoteSetBits{Height: 10, Type: cmtproto.PrevoteType, Votes: *b.ToProto()}
	if !g.takesBits("peer", state, m) {
		t.Fatal("bits that were not asked for went on")
	}
	has := state.GetRoundState().Prevotes
	if !has.GetIndex(said) || !has.GetIndex(int(v.ValidatorIndex)) {
		t.Errorf("the peer is known to have %v", has)
	}
	g.lanes["peer"].asked.Store(1 << 62)
	g.lanes["peer"].due.Store(2)
	for i := range 4 {
		// A peer that answers again and again would be sent all votes each time.
		if g.takesBits("peer", state, m) != (i >= 2) {
			t.Errorf("answer %d to two questions", i)
		}
	}
	if g.takesBits("nobody", state, m) {
		t.Error("bits of a peer without gossip went no further")
	}
}
