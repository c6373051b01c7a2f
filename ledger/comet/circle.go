package comet

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/walrus-network/walrus/staking"
)

const (
	// ownPicks is how many neighbours a member draws for itself, beside those of the graph:
	// no other node can know or choose them.
	ownPicks = 2
	// guestPicks is how many members a node that is none follows the chain by.
	guestPicks = 4
	// pickStays is the time for which a neighbour that was drawn stays one.
	pickStays = time.Hour
	// uselessBlocks is how many blocks' time, and uselessAtLeast the least time, after which
	// a neighbour that brings nothing is made up for by another one.
	uselessBlocks  = 6
	uselessAtLeast = 15 * time.Second
	// behindBlocks is how many blocks a useful neighbour may be behind.
	behindBlocks = 10
	// stallBlocks is how many blocks' time may pass without a block, and stallAtLeast the
	// least time, until a node draws stallPicks more neighbours; as many again after each
	// stallAtLeast more. All at once would weigh down a network that is slow.
	stallBlocks  = 6
	stallAtLeast = 10 * time.Second
	stallPicks   = 4
	// lateBy is how much older the last block may be: then it is late, though blocks come,
	// and stallPicks more neighbours are drawn.
	lateBy = 30 * time.Second
	// startTime, and startEach for each member, is the time after its start in which a node
	// does not take it for a fault that no block comes: the others may start too.
	startTime = 30 * time.Second
	startEach = 500 * time.Millisecond
	// leaveEvery is the least time between two connections that are given up since they are
	// not needed any more.
	leaveEvery = 5 * time.Second
)

// circle decides which members a node is connected to: its neighbours in the graph and some
// that it draws. Neighbours that bring nothing are made up for by others. A node that gets
// no blocks, or late ones, cannot know whether the network stands or its neighbours keep
// the blocks from it: it draws more and more, until it is connected to all members.
type circle struct {
	self     staking.NodeID
	stall    time.Duration // without a block, until more neighbours are drawn
	patience time.Duration // with a neighbour that brings nothing
	draw     func(n int) int

	picks   map[staking.NodeID]time.Time // drawn, and when
	brought map[staking.NodeID]brought   // by the neighbours
	began   time.Time
	moved   time.Time // when the height grew last; zero: not since the start
	height  int64     // -1: not known yet
	left    time.Time // when a neighbour was given up last
}

// brought is what a neighbour has brought.
type brought struct {
	last time.Time // that it brought something
	sent int       // votes and parts of blocks, since it is connected
}

// report is what a node sees of a neighbour that is connected.
type report struct {
	height int64 // that the neighbour says it is at
	sent   int   // votes and parts of blocks that came from it first
}

func newCircle(self staking.NodeID, block time.Duration, now time.Time) *circle {
	return &circle{self: self, stall: max(stallBlocks*block, stallAtLeast), patience: max(uselessBlocks*block, uselessAtLeast), draw: rand.IntN, began: now, height: -1,
		picks: map[staking.NodeID]time.Time{}, brought: map[staking.NodeID]brought{}}
}

// standing is where a node and its ledger stand when neighbours are chosen.
type standing struct {
	now    time.Time
	height int64         // of the last block
	age    time.Duration // of the last block, by its own time
	atTip  bool          // not catching up: blocks come by votes
}

// wanted lists the members to be connected to.
func (c *circle) wanted(g graph, s standing, connected map[staking.NodeID]report) []staking.NodeID {
	if g.full {
		return g.members
	}
	grew := s.height > c.height && c.height >= 0
	if c.height = max(c.height, s.height); grew {
		c.moved = s.now
	}
	base := g.neighbours(c.self)
	c.judge(append(slices.Clone(base), c.drawn()...), s, connected, grew)

	want := ownPicks
	if len(base) == 0 {
		want = guestPicks
	}
	for _, id := range base {
		if c.useless(id, s.now) {
			want++
		}
	}
	want += c.more(s, len(g.members))
	for id, at := range c.picks {
		if !g.has(id) || slices.Contains(base, id) || s.now.Sub(at) > pickStays || c.useless(id, s.now) {
			delete(c.picks, id)
		}
	}
	c.fill(g, base, want, s.now)
	if len(c.picks) > want && s.now.Sub(c.left) >= leaveEvery {
		c.left = s.now
		delete(c.picks, c.oldest())
	}
	return append(slices.Clone(base), c.drawn()...)
}

// judge takes note of what the neighbours have brought.
func (c *circle) judge(neighbours []staking.NodeID, s standing, connected map[staking.NodeID]report, grew bool) {
	known := map[staking.NodeID]brought{}
	for _, id := range neighbours {
		u, ok := c.brought[id]
		if !ok {
			u.last = s.now // a new one has time to be found
		}
		r, here := connected[id]
		switch {
		case !here:
			u.sent = 0
		case r.sent != u.sent, !s.atTip:
			u.last, u.sent = s.now, r.sent
		case !grew && (c.moved.IsZero() || s.now.Sub(c.moved) > c.stall) && r.height >= s.height-behindBlocks:
			// While no block comes, silence is no fault: the time does not run.
			u.last = u.last.Add(min(time.Second, s.now.Sub(u.last)))
		}
		known[id] = u
	}
	c.brought = known
}

// useless says that a neighbour has brought nothing for a while.
func (c *circle) useless(id staking.NodeID, now time.Time) bool {
	u, ok := c.brought[id]
	return ok && now.Sub(u.last) > c.patience
}

// more is how many neighbours more are drawn since no block comes, or a late one.
func (c *circle) more(s standing, members int) int {
	if without := c.without(s.now, members); without >= c.stall {
		return stallPicks * (1 + int((without-c.stall)/stallAtLeast))
	}
	if s.atTip && !c.moved.IsZero() && s.age >= c.stall+lateBy { // blocks that are caught up with are old
		return stallPicks
	}
	return 0
}

// without is the time without a block, of which the start is left out.
func (c *circle) without(now time.Time, members int) time.Duration {
	if c.moved.IsZero() {
		return now.Sub(c.began) - startTime - time.Duration(members)*startEach
	}
	return now.Sub(c.moved)
}

// fill draws neighbours until there are as many as are wanted, or no others.
func (c *circle) fill(g graph, base []staking.NodeID, want int, now time.Time) {
	if len(c.picks) >= want {
		return
	}
	var free []staking.NodeID
	for _, id := range g.members {
		if _, has := c.picks[id]; !has && id != c.self && !slices.Contains(base, id) {
			free = append(free, id)
		}
	}
	for len(c.picks) < want && len(free) > 0 {
		i := c.draw(len(free))
		c.picks[free[i]] = now
		free = slices.Delete(free, i, i+1)
	}
}

// drawn lists the drawn neighbours, those of the longest standing first.
func (c *circle) drawn() []staking.NodeID {
	out := make([]staking.NodeID, 0, len(c.picks))
	for id := range c.picks {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b staking.NodeID) int { return c.picks[a].Compare(c.picks[b]) })
	return out
}

func (c *circle) oldest() staking.NodeID { return c.drawn()[0] }
