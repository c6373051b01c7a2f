package staking

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/token"
)

// capHolds says whether somebody below the cap, the bound and its room could have a shard
// more than its seats: then the cap must not have given way.
func capHolds(shards int, list []Candidate, seats, had map[NodeID]int) bool {
	bound := bounds(shards, list)
	for i, c := range list {
		room := max(c.Capacity, had[c.ID])
		if seats[c.ID] < min(bound[i], room, Cap(shards, len(list))) {
			return true
		}
	}
	return false
}

// worst is the set of nodes with the most shards beyond max(2 s N, 1), of all sets that
// leave four nodes with stake, and by how many shards. Sorted by what each has beyond its
// own 2 s N, the worst set of each size is a prefix; one that has at most 1 is excused.
func worst(shards int, list []Candidate, seats map[NodeID]int) (beyond float64, set []Candidate) {
	total := 0.0
	for _, c := range list {
		total += float64(c.Stake)
	}
	excess := func(c Candidate) float64 {
		return float64(seats[c.ID]) - 2*float64(shards)*float64(c.Stake)/total
	}
	all := slices.Clone(list)
	slices.SortFunc(all, func(a, b Candidate) int {
		if excess(a) > excess(b) {
			return -1
		}
		return 1
	})
	sum, has := 0.0, 0
	for i := range max(0, len(all)-MinNodes) {
		sum += excess(all[i])
		has += seats[all[i].ID]
		if has > 1 && sum > beyond {
			beyond, set = sum, all[:i+1]
		}
	}
	return beyond, set
}

// arrangement is stakes that a search changes.
type arrangement struct {
	shards int
	list   []Candidate
}

func (a arrangement) seats(t testing.TB) map[NodeID]int {
	seats, err := Seats(a.shards, a.list, func(c Candidate) int { return c.Capacity })
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range seats {
		sum += n
	}
	if sum != a.shards {
		t.Fatalf("%d of %d shards have a seat", sum, a.shards)
	}
	return seats
}

func someStake(r *rand.Rand) token.Amount {
	switch r.Intn(4) {
	case 0:
		return token.Amount(1 + r.Intn(10))
	case 1:
		return token.Amount(1000 + r.Intn(3))
	case 2:
		return token.Amount(1 + r.Intn(1_000_000))
	}
	return 1_000_000
}

func arrange(r *rand.Rand) arrangement {
	a := arrangement{shards: []int{4, 7, 10, 28, 100}[r.Intn(5)]}
	for i := range 1 + MinNodes + r.Intn(a.shards) {
		c := Candidate{ID: id(i), Stake: someStake(r), Capacity: a.shards}
		if r.Intn(5) == 0 {
			c.Capacity = r.Intn(a.shards + 1)
		}
		a.list = append(a.list, c)
	}
	return a
}

// feasible says that the bounds leave room for all shards: most of the stake is not in
// nodes too small for one shard.
func (a arrangement) feasible() bool {
	sum := 0
	for _, b := range bounds(a.shards, a.list) {
		sum += b
	}
	return sum >= a.shards
}

// A set of nodes gets at most max(2 s N, 1) shards, however it is split, for random
// arrangements and for the worst that a search from each finds.
func TestShardsFollowStake(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	tried := 0
	for range 300 {
		a := arrange(r)
		best, _ := worst(a.shards, a.list, a.seats(t))
		for range 60 { // climb towards what is worse
			b := arrangement{a.shards, slices.Clone(a.list)}
			i := r.Intn(len(b.list))
			switch r.Intn(4) {
			case 0:
				b.list[i].Stake = someStake(r)
			case 1:
				b.list[i].Stake = max(1, b.list[i].Stake*token.Amount(8+r.Intn(5))/10)
			case 2:
				b.list[i].Capacity = r.Intn(a.shards + 1)
			case 3: // split one in two
				half := b.list[i].Stake / 2
				if half > 0 && len(b.list) < a.shards+MinNodes {
					b.list[i].Stake -= half
					b.list = append(b.list, Candidate{ID: id(len(b.list)), Stake: half, Capacity: a.shards})
				}
			}
			if !b.feasible() {
				continue
			}
			tried++
			seats := b.seats(t)
			beyond, set := worst(b.shards, b.list, seats)
			if beyond > 1e-6 {
				t.Fatalf("%d shards over %d nodes: a set of %d has %.2f shards beyond its bound: %+v of %+v, seats %v", b.shards, len(b.list), len(set), beyond, set, b.list, seats)
			}
			if beyond >= best {
				a, best = b, beyond
			}
		}
	}
	if tried < 5000 {
		t.Fatalf("%d arrangements: the test is too thin", tried)
	}
}

// Dust takes no seats from the large, however many nodes it is split into.
func TestDustGetsNoShards(t *testing.T) {
	for _, c := range []struct{ shards, large, dust int }{{28, 7, 13}, {28, 4, 16}, {100, 9, 11}, {100, 6, 40}, {100, 4, 60}, {1000, 5, 300}} {
		var list []Candidate
		for i := range c.large {
			list = append(list, Candidate{ID: id(i), Stake: 1_000_000 * token.WAL, Capacity: c.shards})
		}
		for i := range c.dust {
			list = append(list, Candidate{ID: id(c.large + i), Stake: 1000 * token.WAL, Capacity: c.shards})
		}
		seats, err := Seats(c.shards, list, func(c Candidate) int { return c.Capacity })
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list[c.large:] {
			if seats[d.ID] > 0 {
				t.Errorf("%+v: dust has a seat: %v", c, seats)
				break
			}
		}
	}
}

// The way there never gives a set more than it had or may have.
func TestMovesTowardsSeatsGiveDustNothing(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 100 {
		a := arrange(r)
		now, err := First(a.shards, a.list[:MinNodes+1])
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			was := now.Count()
			next, err := Next(now, a.list, nobody)
			if err != nil {
				t.Fatal(err)
			}
			seats, err := Seats(a.shards, a.list, func(c Candidate) int { return max(c.Capacity, was[c.ID]) })
			if err != nil {
				t.Fatal(err)
			}
			for id, n := range next.Count() {
				if n > max(was[id], seats[id]) {
					t.Fatalf("from %d to %d shards, it may have %d", was[id], n, seats[id])
				}
			}
			now = Activate(now, next)
			now.From = make([]NodeID, a.shards)
		}
	}
}

func TestTheCostOfPowerIsWhatAThirdTakes(t *testing.T) {
	for _, c := range []struct {
		shards, nodes int
		least, most   float64 // of the stake that is there
	}{{28, 7, .2, .6}, {100, 10, .2, .6}, {100, 25, .2, .6}} {
		var list []Candidate
		for i := range c.nodes {
			list = append(list, Candidate{ID: id(i), Stake: 100_000 * token.WAL, Capacity: c.shards})
		}
		cost := CostOfPower(c.shards, list)
		part := float64(cost) / float64(c.nodes) / float64(100_000*token.WAL)
		if part < c.least || part > c.most {
			t.Errorf("%d shards, %d nodes: a third costs %s, %.2f of the stake that is there", c.shards, c.nodes, cost, part)
		}
		for _, nodes := range []int{1, 3, 10, c.shards/3 + 1} {
			if powerful(c.shards, list, cost*9/10, nodes) {
				t.Errorf("%d shards, %d nodes: nine tenths of it, over %d nodes, suffice", c.shards, c.nodes, nodes)
			}
		}
	}
}
