package comet

import (
	"encoding/binary"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// committeeOf is a committee of some numbered nodes.
func committeeOf(epoch unit.Epoch, numbers ...int) ledger.Committee {
	c := ledger.Committee{Epoch: epoch}
	for _, i := range numbers {
		var id staking.NodeID
		binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		c.Nodes = append(c.Nodes, ledger.Member{ID: id, Shards: 1, Power: 1})
		c.Holder = append(c.Holder, id)
	}
	return c
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// drawnGraph is the graph of n nodes in some epoch.
func drawnGraph(n int, epoch unit.Epoch) graph {
	before, now := committeeOf(epoch-1, upTo(n)...), committeeOf(epoch, upTo(n)...)
	return newGraph([]ledger.Committee{before, now}, now)
}

// adjacent is who is a neighbour of whom, by the graph alone.
func adjacent(g graph) map[staking.NodeID]map[staking.NodeID]bool {
	out := map[staking.NodeID]map[staking.NodeID]bool{}
	for _, id := range g.members {
		out[id] = map[staking.NodeID]bool{}
		for _, to := range g.neighbours(id) {
			out[id][to] = true
		}
	}
	return out
}

// withPicks adds the neighbours that each member draws for itself.
func withPicks(random *rand.Rand, g graph, all map[staking.NodeID]map[staking.NodeID]bool) map[staking.NodeID]map[staking.NodeID]bool {
	if g.full {
		return all
	}
	for _, id := range g.members {
		c := newCircle(id, time.Second, time.Unix(0, 0))
		c.draw = random.Intn
		for _, to := range c.wanted(g, standing{now: time.Unix(0, 0)}, nil) {
			all[id][to], all[to][id] = true, true
		}
	}
	return all
}

// largest is the size of the largest connected part that is left without some.
func largest(all map[staking.NodeID]map[staking.NodeID]bool, without map[staking.NodeID]bool) (most int) {
	seen := map[staking.NodeID]bool{}
	for from := range all {
		if seen[from] || without[from] {
			continue
		}
		part, next := 0, []staking.NodeID{from}
		seen[from] = true
		for len(next) > 0 {
			id := next[0]
			next, part = next[1:], part+1
			for to := range all[id] {
				if !seen[to] && !without[to] {
					seen[to] = true
					next = append(next, to)
				}
			}
		}
		most = max(most, part)
	}
	return most
}

func TestTheGraphIsConnectedAndOfBoundedDegree(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for _, n := range []int{1, 4, 7, 13, 14, 40, 100, 400} {
		for e := range unit.Epoch(10) {
			g := drawnGraph(n, e+1)
			all := adjacent(g)
			for a, to := range all {
				for b := range to {
					if a == b || !all[b][a] {
						t.Fatalf("n = %d: neighbours on one side only", n)
					}
				}
				if most := max(fullGraph-1, 2*max(minCycles, len(g.orders))); len(to) > most {
					t.Fatalf("n = %d: %d neighbours, at most %d", n, len(to), most)
				}
			}
			if got := largest(all, nil); got != n {
				t.Fatalf("n = %d: %d connected", n, got)
			}
			sum := 0
			for _, to := range withPicks(random, g, all) {
				sum += len(to)
			}
			if mean := float64(sum) / float64(n); n > fullGraph && (mean > 15 || mean < 8) {
				t.Errorf("n = %d: %.1f connections on average", n, mean)
			}
		}
	}
}

// A third that is silent leaves the others connected, wherever chance put it.
func TestASilentThirdDoesNotCutTheOthers(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	for n, draws := range map[int]int{7: 20, 40: 300, 100: 200, 400: 30} {
		whole := 0
		for d := range draws {
			g := drawnGraph(n, unit.Epoch(d)+1)
			all := withPicks(random, g, adjacent(g))
			silent := map[staking.NodeID]bool{}
			for _, i := range random.Perm(n)[:(n-1)/3] {
				silent[g.members[i]] = true
			}
			if left := largest(all, silent); left == n-len(silent) {
				whole++
			} else if left < n-len(silent)-1 {
				t.Errorf("n = %d: %d of %d honest nodes are connected", n, left, n-len(silent))
			}
		}
		t.Logf("n = %d: of %d draws with a silent third %d leave all others connected", n, draws, whole)
		if whole < draws*97/100 {
			t.Errorf("n = %d: of %d draws with a silent third %d leave all others connected", n, draws, whole)
		}
	}
}

// eclipse is the third that a coalition silences when it knows all connections: it takes
// all neighbours of as many nodes as it can, the cheapest first, then those whose loss
// leaves the least connected.
func eclipse(all map[staking.NodeID]map[staking.NodeID]bool, members []staking.NodeID, power int) map[staking.NodeID]bool {
	silent, cut := map[staking.NodeID]bool{}, map[staking.NodeID]bool{}
	for {
		var best []staking.NodeID
		var victim staking.NodeID
		for _, id := range members {
			if silent[id] || cut[id] {
				continue
			}
			var cost []staking.NodeID
			possible := true
			for to := range all[id] {
				possible = possible && !cut[to]
				if !silent[to] {
					cost = append(cost, to)
				}
			}
			if possible && len(cost) <= power-len(silent) && (best == nil || len(cost) < len(best)) {
				best, victim = append([]staking.NodeID{}, cost...), id
			}
		}
		if victim == (staking.NodeID{}) && best == nil {
			break
		}
		cut[victim] = true
		for _, id := range best {
			silent[id] = true
		}
	}
	for len(silent) < power {
		var worst staking.NodeID
		least := len(members)
		for _, id := range members {
			if silent[id] || cut[id] {
				continue
			}
			silent[id] = true
			if left := largest(all, silent); left < least {
				worst, least = id, left
			}
			delete(silent, id)
		}
		if least == len(members) {
			break
		}
		silent[worst] = true
	}
	return silent
}

// A coalition that knows all connections and silences the worst third cuts off a few nodes.
// These notice that their neighbours bring nothing, draw others, and are back in the graph
// before the time for a few more draws has gone.
func TestAnEclipsedNodeFindsOthers(t *testing.T) {
	random := rand.New(rand.NewSource(3))
	for _, n := range []int{40, 100, 400} {
		if n == 400 && testing.Short() {
			continue
		}
		g := drawnGraph(n, 5)
		now := time.Unix(1000, 0)
		circles := map[staking.NodeID]*circle{}
		for _, id := range g.members {
			circles[id] = newCircle(id, time.Second, now)
			circles[id].draw = random.Intn
		}
		// step lets all nodes choose; the silent ones choose nothing and bring nothing.
		heights := map[staking.NodeID]int64{}
		sent := 0
		all := adjacent(g)
		step := func(silent map[staking.NodeID]bool, progress map[staking.NodeID]bool) {
			now, sent = now.Add(time.Second), sent+1
			next := map[staking.NodeID]map[staking.NodeID]bool{}
			for _, id := range g.members {
				next[id] = map[staking.NodeID]bool{}
			}
			for _, id := range g.members {
				if silent[id] {
					continue
				}
				if progress[id] {
					heights[id]++
				}
				connected := map[staking.NodeID]report{}
				for to := range all[id] {
					r := report{height: heights[to]}
					if !silent[to] && progress[to] {
						r.sent = sent
					}
					connected[to] = r
				}
				for _, to := range circles[id].wanted(g, standing{now: now, height: heights[id], atTip: true}, connected) {
					next[id][to], next[to][id] = true, true
				}
			}
			all = next
		}
		everybody := map[staking.NodeID]bool{}
		for _, id := range g.members {
			everybody[id] = true
		}
		for range 30 {
			step(nil, everybody)
		}
		silent := eclipse(all, g.members, (n-1)/3)
		left := largest(all, silent)
		honest := n - len(silent)
		t.Logf("n = %d: the worst third leaves %d of %d connected", n, left, honest)
		if left < honest-honest/8 {
			t.Errorf("n = %d: the worst third leaves %d of %d honest nodes connected", n, left, honest)
		}
		if left == honest {
			t.Fatalf("n = %d: no node is eclipsed: this test shows nothing", n)
		}
		// Too few are connected for a block: the network stands until all are.
		seconds := 0
		for ; seconds < 60 && largest(all, silent) < honest; seconds++ {
			step(silent, nil)
		}
		t.Logf("n = %d: all honest nodes are connected again after %d s", n, seconds)
		if largest(all, silent) < honest {
			t.Errorf("n = %d: after %d s %d of %d honest nodes are connected", n, seconds, largest(all, silent), honest)
		}
		// With blocks again the connections become few again.
		awake := map[staking.NodeID]bool{}
		for id := range everybody {
			awake[id] = !silent[id]
		}
		if n > 40 {
			continue
		}
		for range 600 {
			step(silent, awake)
		}
		for id, c := range circles {
			useless := 0
			for _, to := range g.neighbours(id) {
				if silent[to] {
					useless++
				}
			}
			if !silent[id] && len(c.picks) > ownPicks+useless {
				t.Errorf("a node keeps %d drawn neighbours for %d useless ones", len(c.picks), useless)
			}
		}
	}
}

// An epoch and a member that comes leave most connections as they are.
func TestAChangedCommitteeKeepsMostConnections(t *testing.T) {
	const n = 100
	first, second, third := committeeOf(1, upTo(n)...), committeeOf(2, upTo(n)...), committeeOf(3, upTo(n+5)...)
	shared := func(a, b graph) (kept float64) {
		x, y := adjacent(a), adjacent(b)
		all := 0
		for id, to := range x {
			for other := range to {
				all++
				if y[id][other] {
					kept++
				}
			}
		}
		return kept / float64(all)
	}
	one := newGraph([]ledger.Committee{first, second}, second)
	joined := newGraph([]ledger.Committee{first, second, third}, second)
	two := newGraph([]ledger.Committee{second, third}, third)
	if kept := shared(one, joined); kept < 0.85 {
		t.Errorf("five members that will come leave %.0f %% of the connections", 100*kept)
	}
	if kept := shared(joined, two); kept < 0.4 || kept > 0.7 {
		t.Errorf("an epoch leaves %.0f %% of the connections: half of the cycles are of the committee before", 100*kept)
	}
}

// One that is no member follows the chain by a few members, and is no member's neighbour.
func TestAGuestHangsOnToAFew(t *testing.T) {
	g := drawnGraph(100, 3)
	guest := committeeOf(1, 1000).Nodes[0].ID
	c := newCircle(guest, time.Second, time.Unix(0, 0))
	got := c.wanted(g, standing{now: time.Unix(0, 0)}, nil)
	if len(got) != guestPicks || slices.Contains(got, guest) {
		t.Errorf("a guest wants %d members, want %d", len(got), guestPicks)
	}
	if g.neighbours(guest) != nil {
		t.Error("a guest has neighbours in the graph")
	}
}

// A network that starts slowly does not weigh itself down with more connections. Once
// blocks have come, ten seconds without one are enough.
func TestASlowStartDrawsNoMoreNeighbours(t *testing.T) {
	const n = 100
	g := drawnGraph(n, 3)
	now := time.Unix(1000, 0)
	c := newCircle(g.members[0], time.Second, now)
	useless := len(g.neighbours(g.members[0]))
	most := func(height int64, after time.Duration) int {
		now = now.Add(after)
		c.wanted(g, standing{now: now, height: height, atTip: true, age: time.Hour}, nil)
		return len(c.picks)
	}
	if got := most(7, 0); got != ownPicks {
		t.Fatalf("%d neighbours drawn at the start", got)
	}
	if got := most(7, startTime+n*startEach-time.Second); got > ownPicks+useless {
		t.Errorf("%d neighbours drawn while the network starts, and at most %d are useless", got, useless)
	}
	if got := most(7, time.Minute); got <= ownPicks+useless {
		t.Errorf("%d neighbours drawn of a network that does not start", got)
	}
	most(8, time.Second)
	if got := c.more(standing{now: now.Add(stallAtLeast), height: 8}, n); got != stallPicks {
		t.Errorf("%d more neighbours after %v without a block", got, stallAtLeast)
	}
}
