package comet

import (
	"slices"
	"testing"

	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/p2p/mock"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// A peer is sent the votes that bring it further where it stands, and no others.
func TestAPeerIsSentTheVotesThatItCanUse(t *testing.T) {
	set := newWorld(t, "gossip", 0).committee(t)
	last := types.NewVoteSet("gossip", 9, 0, cmtproto.PrecommitType, set)
	votes := cstypes.NewHeightVoteSet("gossip", 10, set)
	votes.SetRound(2)
	ours := &cstypes.RoundState{Height: 10, Round: 2, Votes: votes, LastCommit: last}
	pre, com := cmtproto.PrevoteType, cmtproto.PrecommitType
	type want struct {
		height int64
		round  int32
		kind   cmtproto.SignedMsgType
	}
	for name, c := range map[string]struct {
		peer cstypes.PeerRoundState
		want []want
	}{
		"not heard of":       {cstypes.PeerRoundState{Height: 0, Round: -1, ProposalPOLRound: -1}, nil},
		"one block behind":   {cstypes.PeerRoundState{Height: 9, Round: 0, ProposalPOLRound: -1}, []want{{9, 0, com}}},
		"far behind":         {cstypes.PeerRoundState{Height: 5, Round: 0, ProposalPOLRound: -1}, nil},
		"ahead":              {cstypes.PeerRoundState{Height: 11, Round: 0, ProposalPOLRound: -1}, nil},
		"waits for height":   {cstypes.PeerRoundState{Height: 10, Round: -1, Step: cstypes.RoundStepNewHeight, ProposalPOLRound: -1}, []want{{9, 0, com}}},
		"waits for proposal": {cstypes.PeerRoundState{Height: 10, Round: 2, Step: cstypes.RoundStepPropose, ProposalPOLRound: -1}, []want{{10, 2, pre}, {10, 2, com}, {10, 2, pre}}},
		"an older round":     {cstypes.PeerRoundState{Height: 10, Round: 1, Step: cstypes.RoundStepPrecommit, ProposalPOLRound: -1}, []want{{10, 1, com}, {10, 1, pre}}},
		"a later round":      {cstypes.PeerRoundState{Height: 10, Round: 3, Step: cstypes.RoundStepPropose, ProposalPOLRound: -1}, nil},
		"repeats a proposal": {cstypes.PeerRoundState{Height: 10, Round: 2, Step: cstypes.RoundStepPropose, ProposalPOLRound: 0}, []want{{10, 0, pre}, {10, 2, pre}, {10, 2, com}, {10, 2, pre}, {10, 0, pre}}},
	} {
		var got []want
		for _, s := range useful(ours, &c.peer) {
			got = append(got, want{s.GetHeight(), s.GetRound(), cmtproto.SignedMsgType(s.Type())})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: sent %v, want %v", name, got, c.want)
		}
	}
}

// A node whose peers come and go keeps no routine for those that have gone.
func TestGossipEndsWithItsPeers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.reach(ctx, 0, 2)
	g := c.members[0].chain.gossip
	lanes := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.lanes)
	}
	// A connection's end is noticed by reading it, and that may be after a few blocks.
	become := func(want int) {
		t.Helper()
		for lanes() != want {
			select {
			case <-ctx.Done():
				t.Fatalf("gossip with %d peers, want %d", lanes(), want)
			case <-c.members[0].chain.Changed():
			}
		}
	}
	become(3)
	c.stop(3)
	become(2)
	c.reach(ctx, 0, c.members[0].chain.machine.Height()+3)
	c.stop(0)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.lanes) != 0 || !g.ended {
		t.Errorf("gossip with %d peers after the end", len(g.lanes))
	}
}

// A node ends although CometBFT's switch made a connection while it was stopped, and the
// connection ends with it.
func TestAConnectionThatIsMadeWhileANodeStopsEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	ctx := within(t)
	c.start(0)
	c.reach(ctx, 0, 1)
	m := c.members[0]
	agreement, ok := m.chain.node.Switch().(*p2p.Switch).Reactor("CONSENSUS")
	if !ok {
		t.Fatal("there is no agreement")
	}
	made := func() *mock.Peer { // the switch does not know it
		p := mock.NewPeer(nil)
		agreement.AddPeer(agreement.InitPeer(p))
		return p
	}
	before := made()
	stop, ended := m.stop, make(chan struct{})
	m.stop = nil
	go func() { defer close(ended); stop() }()
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatal("the node does not end")
	}
	after, late := made(), mock.NewPeer(nil)
	m.chain.gossip.add(late, consensus.NewPeerState(late))
	for name, p := range map[string]*mock.Peer{"before the end": before, "after it": after, "after the agreement looked": late} {
		if p.IsRunning() {
			t.Errorf("a connection that was made %s stands", name)
		}
	}
}
