package comet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

const (
	// fullGraph is the most members that are all connected to each other.
	fullGraph = 13
	// minCycles is the least number of cycles of a graph; each gives a member two
	// neighbours.
	minCycles = 4
)

// graph is which members of the agreement are neighbours: those that stand side by side in
// one of some cycles through all members. One cycle alone connects all. The order of each
// follows from a committee as a whole, so that no node can choose its place.
//
// Half of the cycles are of the present committee, half of the one before: an epoch
// replaces half of a member's neighbours, and a member that comes or goes moves a few.
type graph struct {
	epoch   unit.Epoch       // of the present committee
	known   int              // committees that it is of
	members []staking.NodeID // of the last, the present and the next committee; sorted
	full    bool             // all are neighbours
	orders  [][]staking.NodeID
}

// of is the graph of some committees: this one, if it is.
func (g graph) of(committees []ledger.Committee, now ledger.Committee) graph {
	if g.members != nil && g.epoch == now.Epoch && g.known == len(committees) {
		return g
	}
	return newGraph(committees, now)
}

// newGraph takes the committees from the last to the next; now is the present one.
func newGraph(committees []ledger.Committee, now ledger.Committee) graph {
	g := graph{epoch: now.Epoch, known: len(committees)}
	for _, c := range committees {
		for _, m := range c.Nodes {
			g.members = append(g.members, m.ID)
		}
	}
	slices.SortFunc(g.members, func(a, b staking.NodeID) int { return bytes.Compare(a[:], b[:]) })
	g.members = slices.Compact(g.members)
	if g.full = len(g.members) <= fullGraph; g.full {
		return g
	}
	before := now // at the genesis
	for _, c := range committees {
		if c.Epoch+1 == now.Epoch {
			before = c
		}
	}
	n := max(minCycles, (bits.Len(uint(len(g.members)))+1)/2)
	for i := range n {
		of := now
		if i%2 == 1 {
			of = before
		}
		g.orders = append(g.orders, orderBy(seed(of, i/2, before.Epoch == now.Epoch && i%2 == 1), g.members))
	}
	return g
}

// seed is what the order of a committee's cycle of some number follows from. A committee
// that stands for the one before it too has other cycles in its place.
func seed(c ledger.Committee, number int, second bool) [32]byte {
	h := sha256.New()
	h.Write([]byte("walrus agreement graph 1\n"))
	b := binary.BigEndian.AppendUint64(nil, uint64(c.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	if second {
		b = append(b, 1)
	}
	h.Write(b)
	for _, m := range c.Nodes {
		h.Write(m.ID[:])
	}
	for _, id := range c.Holder {
		h.Write(id[:])
	}
	return [32]byte(h.Sum(nil))
}

// orderBy orders members by the hashes of their names under a seed. A member that comes or
// goes leaves the order of the others as it is.
func orderBy(seed [32]byte, members []staking.NodeID) []staking.NodeID {
	type place struct {
		at [32]byte
		id staking.NodeID
	}
	places := make([]place, 0, len(members))
	for _, id := range members {
		places = append(places, place{sha256.Sum256(append(seed[:], id[:]...)), id})
	}
	slices.SortFunc(places, func(a, b place) int { return bytes.Compare(a.at[:], b.at[:]) })
	out := make([]staking.NodeID, 0, len(places))
	for _, p := range places {
		out = append(out, p.id)
	}
	return out
}

// has says whether a node is a member.
func (g graph) has(id staking.NodeID) bool {
	_, ok := slices.BinarySearchFunc(g.members, id, func(a, b staking.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return ok
}

// neighbours lists a member's neighbours, each once; a node that is no member has none.
func (g graph) neighbours(of staking.NodeID) (out []staking.NodeID) {
	if !g.has(of) {
		return nil
	}
	if g.full {
		for _, id := range g.members {
			if id != of {
				out = append(out, id)
			}
		}
		return out
	}
	for _, order := range g.orders {
		i := slices.Index(order, of)
		for _, id := range []staking.NodeID{order[(i+1)%len(order)], order[(i+len(order)-1)%len(order)]} {
			if id != of && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}
