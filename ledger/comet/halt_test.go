package comet

import (
	"slices"
	"strings"
	"testing"
	"time"

	cstypes "github.com/cometbft/cometbft/consensus/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/staking"
)

func TestAHaltNamesItsLikelyCause(t *testing.T) {
	missing := []staking.NodeID{{1}}
	for _, c := range []struct {
		halt  Halt
		peers int
		want  string
	}{
		{Halt{Power: 9, Heard: 3, Missing: missing}, 0, "connected to no other"},
		{Halt{Power: 9, Heard: 6, Missing: missing}, 5, "6 of 9 shards"},
		{Halt{Power: 9, Heard: 7, Missing: missing}, 5, "would do"},
		{Halt{Power: 9, Heard: 9}, 0, "would do"},
	} {
		if got := likely(c.halt, c.peers); !strings.Contains(got, c.want) {
			t.Errorf("%+v with %d peers: %q does not say %q", c.halt, c.peers, got, c.want)
		}
	}
}

// A node that votes first and goes away then, before a block, is missing as well, though no
// round goes on without it.
func TestANodeThatGoesAfterItsVoteIsMissing(t *testing.T) {
	set, keys := types.RandValidatorSet(4, 10)
	votes, now := cstypes.NewHeightVoteSet("halt", 10, set), time.Now()
	vote := func(kind cmtproto.SignedMsgType, ago time.Duration, nodes ...int32) {
		t.Helper()
		for _, i := range nodes {
			v, err := types.MakeVote(keys[i], "halt", i, 10, 0, kind, types.BlockID{}, now.Add(-ago))
			if err == nil {
				_, err = votes.AddVote(v, "", false)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	missing := func(step cstypes.RoundStepType, want ...int32) {
		t.Helper()
		sets := awaited(&cstypes.RoundState{Height: 10, Step: step, Votes: votes, Validators: set}, now)
		var got []int32
		for i := range int32(4) {
			if !slices.ContainsFunc(sets, func(s *types.VoteSet) bool { return s.GetByIndex(i) != nil }) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in step %s %v are missing, want %v", step, got, want)
		}
	}
	missing(cstypes.RoundStepPropose, 0, 1, 2, 3)
	vote(cmtproto.PrevoteType, time.Minute, 0, 1, 2)
	missing(cstypes.RoundStepPrevote, 3)
	missing(cstypes.RoundStepPrecommit, 3) // which has just begun
	vote(cmtproto.PrecommitType, haltSettled-time.Second, 0, 1)
	missing(cstypes.RoundStepPrecommit, 3)
	now = now.Add(2 * time.Second)
	missing(cstypes.RoundStepPrecommit, 2, 3)
	missing(cstypes.RoundStepPrevote, 3) // one that is ahead is there
}

// Two of four nodes are away: the others name them, and say nothing any more once blocks
// come again.
func TestAHaltedChainNamesTheNodesThatAreAway(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.pay(ctx, 0, 0)
	comes := func() { // on a busy machine a block may take as long as a halt
		t.Helper()
		for h := c.members[0].chain.Halted(); h != nil; h = c.members[0].chain.Halted() {
			if !sleep(ctx, 50*time.Millisecond) {
				t.Fatalf("blocks come, and it says %+v", h)
			}
		}
	}
	comes()
	c.stop(2)
	c.stop(3)
	var away []staking.NodeID
	for _, i := range []int{2, 3} {
		away = append(away, staking.NodeID(c.members[i].secret.Key().Public()))
	}
	slices.SortFunc(away, staking.NodeID.Compare)
	var h *Halt
	for h == nil || !slices.Equal(h.Missing, away) {
		if !sleep(ctx, 50*time.Millisecond) {
			t.Fatalf("it says %+v, want %v missing", h, away)
		}
		h = c.members[0].chain.Halted()
	}
	if 3*h.Heard > 2*h.Power || !strings.Contains(h.Cause, "too few nodes vote") || time.Since(h.Since) < haltAtLeast {
		t.Errorf("it says %+v", h)
	}
	c.start(2, 3)
	c.pay(ctx, 0, 1)
	comes()
}
