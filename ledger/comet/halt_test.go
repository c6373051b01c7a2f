package comet

import (
	"slices"
	"strings"
	"testing"
	"time"

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
