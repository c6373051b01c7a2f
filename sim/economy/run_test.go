package economy

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/sim"
)

// tiny is a network that is simulated in a moment.
func tiny() Options {
	o := Default(12)
	o.Epochs, o.Rounds = 4, 48
	return o
}

func run(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r Result) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASeedIsOneHistory(t *testing.T) {
	o := tiny()
	o.Drop[3], o.Zones = 0.01, 3
	once, again := text(t, run(t, o)), text(t, run(t, o))
	if once != again {
		t.Fatalf("two histories of one seed:\n%s\n%s", once, again)
	}
	o.Seed++
	if text(t, run(t, o)) == once {
		t.Fatal("another seed gives the same history")
	}
}

func TestHonestNodesEarnAndANodeThatKeepsNothingDoesNot(t *testing.T) {
	o := tiny()
	cheat := 5
	o.Drop[cheat] = 1
	r := run(t, o)
	if !r.SupplyOK || r.Epochs != 4 || len(r.Nodes) != 12 {
		t.Fatalf("%+v", r)
	}
	shards := 0
	for i, n := range r.Nodes {
		shards += n.Shards
		if i == cheat {
			continue
		}
		if n.Slashed != 0 || n.Income == 0 || n.Held == 0 || n.Shards == 0 || n.Profit <= r.Nodes[cheat].Profit {
			t.Errorf("%s: %+v", n.ID, n)
		}
	}
	if shards != r.Shards {
		t.Errorf("%d of %d shards have a holder", shards, r.Shards)
	}
	c := r.Nodes[cheat]
	if c.Income != 0 || c.Slashed == 0 || c.Shards != 0 || c.Passed != 0 || len(c.Slashes) == 0 || c.Slashes[0] != (sim.Slash{Epoch: 0, Rung: 4, Bps: 500}) {
		t.Errorf("who keeps nothing: %+v", c)
	}
	if c.Profit != -Difference(c.Slashed) {
		t.Errorf("who keeps nothing pays for it: %s", c.Profit)
	}
}

func TestAPerfectYearEarnsWhatAShardCan(t *testing.T) {
	o := tiny()
	for i := range o.Uptime {
		o.Uptime[i] = 1
	}
	o.StorageCost = 0.5
	r := run(t, o)
	for _, n := range r.Nodes {
		if n.Passed < 0.99 { // a shard that is being fetched is not passed
			t.Errorf("%+v", n)
		}
		earned, whole := float64(n.Income+n.Held), float64(n.ShardEpochs)*float64(r.ShardReward)/float64(r.Epochs)
		if math.Abs(earned/whole-1) > 0.05 || math.Abs(float64(n.Cost)/whole-0.5) > 0.05 {
			t.Errorf("%s earned %.0f of %.0f, and paid %s", n.ID, earned, whole, n.Cost)
		}
	}
}

func TestANodeThatIsAwayForLongIsSlashedAndMoved(t *testing.T) {
	o := tiny()
	o.Uptime[2] = 0.01
	n := run(t, o).Nodes[2]
	if n.Slashed == 0 || n.Slashes[0].Rung != 6 || n.Shards == 10 {
		t.Fatalf("%+v", n)
	}
}

func TestShardsThatMoveBecomeReady(t *testing.T) {
	o := tiny()
	o.Drop[0] = 1
	s, err := begin(o)
	if err != nil {
		t.Fatal(err)
	}
	type move struct{ shard, to int }
	seen := map[move]bool{}
	for epoch := range 4 {
		if err := s.epoch(epoch); err != nil {
			t.Fatal(err)
		}
		for shard := range s.moves {
			m := move{shard, s.holders[shard]}
			if seen[m] {
				t.Errorf("epoch %d: shard %d is still on its way to node%d", epoch+1, m.shard, m.to)
			}
			seen[m] = true
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d moves: node0 had ten shards to lose", len(seen))
	}
}

func TestOptionsThatMakeNoNetwork(t *testing.T) {
	for why, change := range map[string]func(*Options){
		"3 nodes":       func(o *Options) { o.Nodes = 3 },
		"0 epochs":      func(o *Options) { o.Epochs = 0 },
		"104 epochs":    func(o *Options) { o.Epochs = 104 },
		"11 shards":     func(o *Options) { o.Shards = 11 },
		"1001 shards":   func(o *Options) { o.Shards = 1001 },
		"uptime 0 of":   func(o *Options) { o.Uptime[4] = 0 },
		"uptime NaN of": func(o *Options) { o.Uptime[4] = math.NaN() },
		"drop 1.5":      func(o *Options) { o.Drop[4] = 1.5 },
		"13 zones":      func(o *Options) { o.Zones = 13 },
		"of zones":      func(o *Options) { o.ZoneUptime = 0 },
		"a tail of 5":   func(o *Options) { o.Outages.Tail = 5 },
		"storage cost":  func(o *Options) { o.StorageCost = -1 },
		"5 rounds":      func(o *Options) { o.Rounds = 5 },
		"2 uptimes":     func(o *Options) { o.Uptime = o.Uptime[:2] },
	} {
		o := tiny()
		change(&o)
		if _, err := Run(t.Context(), o); !errors.Is(err, sim.ErrOptions) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
