package staking

import (
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/token"
)

// Between the choice of a committee and its first epoch, a receiver may become ready for
// a shard that the choice sends back to who kept it. It is a move like any other then.
func TestAShardThatGoesBackLeavesNoRoomForAnother(t *testing.T) {
	const shards = 28
	back := 0
	for seed := range int64(200) {
		r := rand.New(rand.NewSource(seed))
		list := func() (out []Candidate) {
			for i := range 6 {
				out = append(out, Candidate{ID: id(i), Stake: token.Amount(1 + r.Intn(100)), Capacity: shards})
			}
			return out
		}
		now, err := First(shards, list())
		if err != nil {
			t.Fatal(err)
		}
		for range 6 {
			next, err := Next(now, list(), nobody)
			if err != nil {
				t.Fatal(err)
			}
			for s := range now.From {
				if !now.From[s].IsZero() && next.Holder[s] == now.From[s] {
					back++
				}
				if r.Intn(2) == 0 {
					now.From[s] = NodeID{} // it becomes ready in time
				}
			}
			now = Activate(now, next)
			if got := now.NotReady(); got > MoveBound(shards) {
				t.Fatalf("seed %d: %d shards on the move, at most %d", seed, got, MoveBound(shards))
			}
		}
	}
	if back == 0 {
		t.Fatal("nothing goes back: the test shows nothing")
	}
}
