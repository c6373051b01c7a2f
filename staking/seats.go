package staking

import (
	"slices"

	"github.com/walrus-network/walrus/token"
)

// Cap is how many shards one of n nodes is given of N at most, while others may have
// them: a fair part rounded up, or a tenth in a large network, or f in a small one,
// whichever is more. It gives way where those others have too little stake: see Seats.
func Cap(shards, nodes int) int {
	if nodes == 0 {
		return 0
	}
	fair := (shards + nodes - 1) / nodes
	if nodes >= 20 {
		return max(fair, shards/10)
	}
	return max(fair, (shards-1)/3)
}

// MoveBound is the most shards that may be on the move in an epoch.
func MoveBound(shards int) int { return max(1, (shards-1)/3/2) }

// Seats shares N shards among candidates by D'Hondt: each shard in turn goes to the
// highest stake / (shards it has + 1), among those that may have one more. Equal
// quotients go to the lower ID.
//
// Shards follow stake: a node gets at most 2 s N shards, s being its part of all
// candidates' stake, so that any set of nodes with the part s gets at most 2 s N,
// however many nodes it is split into. Below that bound a node is also held to its
// disk's room and to Cap. Where these leave shards over, Cap gives way first, since a
// large node is better than one without stake; then the room, since a full disk can be
// mended and a shard without a holder cannot; the bound last, which happens only where
// most of the stake is in more than N nodes.
//
// While at most MinNodes+1 candidates have stake, the last shards go to nodes without
// any, so that MinNodes have one: any set that leaves four others is a single node then.
func Seats(shards int, candidates []Candidate, limit func(Candidate) int) (map[NodeID]int, error) {
	list := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return c.Stake == 0 })
	if len(list) == 0 {
		return nil, ErrNoNodes
	}
	slices.SortFunc(list, func(a, b Candidate) int { return a.ID.Compare(b.ID) })
	d := dHondt{list: list, has: make([]int, len(list)), room: make([]int, len(list)), bound: bounds(shards, list), most: Cap(shards, len(list))}
	for i, c := range list {
		d.room[i] = limit(c)
	}
	few := len(list) <= MinNodes+1
	for given, level := 0, 0; given < shards; {
		spread := few && shards-given <= min(MinNodes, len(list))-d.holders()
		best := d.next(level, spread)
		switch {
		case best >= 0:
			d.has[best]++
			given++
		case level < len(levels)-1:
			level++ // nothing that a shard changes makes an earlier level possible again
		default:
			return nil, ErrNoNodes // never: the last level refuses no node
		}
	}
	seats := make(map[NodeID]int, len(list))
	for i, c := range list {
		if d.has[i] > 0 {
			seats[c.ID] = d.has[i]
		}
	}
	return seats, nil
}

// dHondt is a sharing under way: list by ID, and of each what it has and may have.
type dHondt struct {
	list  []Candidate
	has   []int
	room  []int // shards that its disk takes, or that it has if it gets no new ones
	bound []int // floor(2 s N)
	most  int   // Cap
}

// bounds are floor(2 s N) of each candidate.
func bounds(shards int, list []Candidate) []int {
	total := token.Amount(0)
	for _, c := range list {
		total = mustAdd(total, c.Stake)
	}
	out := make([]int, len(list))
	for i, c := range list {
		out[i] = int(must(c.Stake.MulDiv(2*uint64(shards), uint64(total))))
	}
	return out
}

// levels say which node may have one more shard, in the order in which they are tried.
var levels = []func(d *dHondt, i int) bool{
	func(d *dHondt, i int) bool { return d.has[i] < min(d.bound[i], d.room[i], d.most) },
	func(d *dHondt, i int) bool { return d.has[i] < min(d.bound[i], d.room[i]) },
	func(d *dHondt, i int) bool { return d.has[i] < min(d.bound[i], d.most) && !d.list[i].NoNew },
	func(d *dHondt, i int) bool { return d.has[i] < d.bound[i] && !d.list[i].NoNew },
	func(d *dHondt, i int) bool { return d.has[i] < d.bound[i] },
	func(d *dHondt, i int) bool { return true },
}

// next is the node that gets the next shard at a level, -1 for none. A spread is for nodes
// without any.
func (d *dHondt) next(level int, spread bool) int {
	best := -1
	for i, c := range d.list {
		if spread && d.has[i] > 0 || !spread && !levels[level](d, i) {
			continue
		}
		if best < 0 || ahead(c.Stake, uint64(d.has[i]+1), d.list[best].Stake, uint64(d.has[best]+1)) {
			best = i
		}
	}
	return best
}

func (d *dHondt) holders() (n int) {
	for _, has := range d.has {
		if has > 0 {
			n++
		}
	}
	return n
}

// CostOfPower is the least stake with which a newcomer would be given more than a third
// of the shards, split over as many nodes as suits it best, were all others to stay as
// they are and to let shards go at once. More than any supply where that cannot be.
func CostOfPower(shards int, candidates []Candidate) token.Amount {
	total := token.Amount(0)
	for _, c := range candidates {
		total = mustAdd(total, c.Stake)
	}
	cost := token.Amount(1<<64 - 1)
	for _, nodes := range []int{1, 2, 4, (shards/3 + Cap(shards, 20)) / Cap(shards, 20), shards/3 + 1} {
		low, high := token.Amount(0), min(total, 1<<62)*2+token.Amount(nodes)
		if !powerful(shards, candidates, high, nodes) {
			continue
		}
		for low+1 < high {
			if mid := low + (high-low)/2; powerful(shards, candidates, mid, nodes) {
				high = mid
			} else {
				low = mid
			}
		}
		cost = min(cost, high)
	}
	return cost
}

// powerful says whether stake that is split over new nodes gets more than a third.
func powerful(shards int, candidates []Candidate, stake token.Amount, nodes int) bool {
	all := slices.Clone(candidates)
	mine := map[NodeID]bool{}
	for i := range nodes {
		id := NodeID{255, 255, byte(i >> 8), byte(i)}
		mine[id] = true
		all = append(all, Candidate{ID: id, Stake: stake / token.Amount(nodes), Capacity: shards})
	}
	seats, err := Seats(shards, all, func(c Candidate) int { return max(c.Capacity, 1) })
	got := 0
	for id, n := range seats {
		if mine[id] {
			got += n
		}
	}
	return err == nil && 3*got > shards
}
