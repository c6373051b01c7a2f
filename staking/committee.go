package staking

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/walrus-network/walrus/token"
)

// MinNodes is the least number of nodes that a committee shrinks to: with fewer, one
// of them can stop or rule the ledger.
const MinNodes = 4

// ErrNoNodes is returned when no node can hold the shards.
var ErrNoNodes = errors.New("no node has stake: a network needs at least one")

// Candidate is a node that may be given shards.
type Candidate struct {
	ID       NodeID
	Stake    token.Amount
	Capacity int  // most shards its disk has room for
	NoNew    bool // keeps what it has and gets no more
}

// Assignment says which node holds which shard.
//
// Invariant: len(Holder) = len(From) = N; From[s] != Holder[s].
type Assignment struct {
	Holder []NodeID // shard -> the node that has the duty
	From   []NodeID // shard -> the node that still keeps it while the holder is not ready; zero when ready
}

// Clone is a copy that shares nothing.
func (a Assignment) Clone() Assignment {
	return Assignment{Holder: slices.Clone(a.Holder), From: slices.Clone(a.From)}
}

// Count is how many shards each holder has.
func (a Assignment) Count() map[NodeID]int {
	out := map[NodeID]int{}
	for _, id := range a.Holder {
		out[id]++
	}
	return out
}

// NotReady is the number of shards whose holder is not ready.
func (a Assignment) NotReady() int {
	n := 0
	for _, id := range a.From {
		if !id.IsZero() {
			n++
		}
	}
	return n
}

// ahead says whether a/m > b/n, without rounding.
func ahead(a token.Amount, m uint64, b token.Amount, n uint64) bool {
	ah, al := bits.Mul64(uint64(a), n)
	bh, bl := bits.Mul64(uint64(b), m)
	return ah > bh || ah == bh && al > bl
}

// First is the assignment of a new network: runs of shards, all of them ready.
func First(shards int, candidates []Candidate) (Assignment, error) {
	seats, err := Seats(shards, candidates, func(c Candidate) int { return c.Capacity })
	if err != nil {
		return Assignment{}, err
	}
	a := Assignment{From: make([]NodeID, shards)}
	for _, id := range sorted(seats) {
		for range seats[id] {
			a.Holder = append(a.Holder, id)
		}
	}
	return a, nil
}

// Next is the assignment of the next epoch: from now towards what Seats gives, by the
// fewest moves, with at most MoveBound shards on the move, those of now that are not
// ready included. Shards leave nodes that are no candidates first, the worst of them
// before the others, then the nodes with the most too many; they go to the nodes with
// the most too few. A shard that goes back to the node that still keeps it is ready at once.
// Fewer than MinNodes candidates change nothing, unless there were fewer before.
func Next(now Assignment, candidates []Candidate, badness func(NodeID) uint64) (Assignment, error) {
	shards := len(now.Holder)
	has := now.Count()
	// A node that declared less room than it uses keeps what it has.
	seats, err := Seats(shards, candidates, func(c Candidate) int {
		if c.NoNew {
			return has[c.ID]
		}
		return max(c.Capacity, has[c.ID])
	})
	staked := 0
	for _, c := range candidates {
		if c.Stake > 0 {
			staked++
		}
	}
	if err != nil || staked < MinNodes && staked < len(has) {
		return now.Clone(), nil
	}
	next := now.Clone()
	room := MoveBound(shards) - now.NotReady()
	for {
		giver, taker, ok := pick(seats, has, badness)
		if !ok {
			return next, nil
		}
		s := shardToMove(next, giver, taker, room)
		if s < 0 {
			return next, nil
		}
		back := next.From[s]
		switch {
		case back == taker: // no room is won: until next is in force, giver may become ready
			next.From[s] = NodeID{}
		case back.IsZero():
			next.From[s] = giver
			room--
		} // else it was on the move already, and still comes from the node that keeps it
		next.Holder[s] = taker
		has[giver]--
		has[taker]++
	}
}

// pick is the node that gives a shard next, and the node that takes it.
func pick(seats, has map[NodeID]int, badness func(NodeID) uint64) (giver, taker NodeID, ok bool) {
	over, under := uint64(0), 0
	for _, id := range sorted(has) {
		surplus := uint64(max(0, has[id]-seats[id]))
		if seats[id] == 0 && has[id] > 0 {
			surplus += (1 + badness(id)) << 20 // a node that is out comes first
		}
		if surplus > over {
			over, giver = surplus, id
		}
	}
	for _, id := range sorted(seats) {
		if lack := seats[id] - has[id]; lack > under {
			under, taker = lack, id
		}
	}
	return giver, taker, over > 0 && under > 0
}

// shardToMove prefers a shard that taker still keeps, then one that is on the move
// anyway, then the lowest if there is room for another.
func shardToMove(a Assignment, giver, taker NodeID, room int) int {
	moving, ready := -1, -1
	for s, id := range a.Holder {
		switch {
		case id != giver:
		case a.From[s] == taker:
			return s
		case !a.From[s].IsZero():
			if moving < 0 {
				moving = s
			}
		case ready < 0:
			ready = s
		}
	}
	if moving >= 0 || room <= 0 {
		return moving
	}
	return ready
}

// Activate makes next the assignment in force after now: whatever became ready or
// not since next was worked out, each shard comes from the node that keeps it.
func Activate(now, next Assignment) Assignment {
	out := next.Clone()
	for s := range out.Holder {
		keeper := now.From[s]
		if keeper.IsZero() {
			keeper = now.Holder[s]
		}
		out.From[s] = keeper
		if keeper == out.Holder[s] {
			out.From[s] = NodeID{}
		}
	}
	return out
}

func sorted(m map[NodeID]int) []NodeID {
	ids := make([]NodeID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, NodeID.Compare)
	return ids
}
