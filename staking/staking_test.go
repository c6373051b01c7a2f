package staking

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/token"
)

// nobody is worse than another.
func nobody(NodeID) uint64 { return 0 }

func id(i int) NodeID {
	return NodeID(token.KeyFromSeed([32]byte{byte(i), byte(i >> 8)}).Public())
}

func TestNodeIDReadsBackAsAPeerID(t *testing.T) {
	n := id(1)
	back, err := ParseNodeID(n.String())
	if err != nil || back != n {
		t.Fatalf("%s %v", back, err)
	}
	// The example of the libp2p specification of peer IDs.
	key, err := hex.DecodeString("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := NodeID(key).String(), "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"", "12D3KooW", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", n.String() + "1", "0" + n.String()} {
		if _, err := ParseNodeID(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

// network is a changing set of candidates and the assignment that follows them.
type network struct {
	r          *rand.Rand
	shards     int
	candidates map[int]*Candidate
	now        Assignment
	born       int
}

func (n *network) join() {
	n.born++
	n.candidates[n.born] = &Candidate{ID: id(n.born), Stake: token.Amount(1+n.r.Intn(1000)) * token.WAL, Capacity: n.shards}
}

func (n *network) list() (out []Candidate) {
	for i := 1; i <= n.born; i++ {
		if c := n.candidates[i]; c != nil {
			out = append(out, *c)
		}
	}
	n.r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (n *network) shake() {
	for i := 1; i <= n.born; i++ {
		c := n.candidates[i]
		switch {
		case c == nil:
		case n.r.Intn(12) == 0 && len(n.candidates) > MinNodes:
			delete(n.candidates, i)
		case n.r.Intn(3) == 0:
			c.Stake = token.Amount(1+n.r.Intn(1000)) * token.WAL
		case n.r.Intn(5) == 0:
			c.Capacity = n.r.Intn(n.shards + 1)
		}
	}
	if n.r.Intn(2) == 0 && len(n.candidates) < n.shards {
		n.join()
	}
}

func TestACommitteeIsWholeBoundedAndMovesLittle(t *testing.T) {
	for seed := range int64(60) {
		r := rand.New(rand.NewSource(seed))
		n := &network{r: r, shards: 4 + r.Intn(60), candidates: map[int]*Candidate{}}
		for range 4 + r.Intn(min(20, n.shards-3)) {
			n.join()
		}
		var err error
		if n.now, err = First(n.shards, n.list()); err != nil {
			t.Fatal(err)
		}
		for epoch := range 40 {
			n.step(t, seed, epoch)
		}
	}
}

func (n *network) step(t *testing.T, seed int64, epoch int) {
	t.Helper()
	n.shake()
	list := n.list()
	next, err := Next(n.now, list, nobody)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Next(n.now, n.list(), nobody)
	if fmt.Sprint(again) != fmt.Sprint(next) {
		t.Fatal("the order of the candidates matters")
	}
	has, had := next.Count(), n.now.Count()
	seats, err := Seats(n.shards, list, func(c Candidate) int { return max(c.Capacity, had[c.ID]) })
	if err != nil {
		t.Fatal(err)
	}
	seated := 0 // that have stake for a shard
	for _, b := range bounds(n.shards, list) {
		if b > 0 {
			seated++
		}
	}
	if len(seats) < min(MinNodes, seated) || len(seats) < MinNodes && len(list) <= MinNodes+1 {
		t.Fatalf("seed %d epoch %d: seats for %d nodes only", seed, epoch, len(seats))
	}
	total, moved, lack := 0, 0, 0
	for s := range next.Holder {
		if next.Holder[s] != n.now.Holder[s] {
			moved++
		}
	}
	for _, c := range list {
		if k := has[c.ID]; k > had[c.ID] && k > Cap(n.shards, len(list)) && capHolds(n.shards, list, seats, had) {
			t.Fatalf("seed %d epoch %d: node was given %d shards, the cap is %d, and others could have them", seed, epoch, k, Cap(n.shards, len(list)))
		}
		lack += max(0, seats[c.ID]-had[c.ID])
		// No detours: whoever gains stays at or below the target, whoever loses at or above.
		if k, was, want := has[c.ID], had[c.ID], seats[c.ID]; k > was && k > want || k < was && k < want {
			t.Fatalf("seed %d epoch %d: from %d to %d shards, the target is %d", seed, epoch, was, k, want)
		}
	}
	for _, k := range has {
		total += k
	}
	if total != n.shards {
		t.Fatalf("%d of %d shards are held", total, n.shards)
	}
	if moved > lack {
		t.Fatalf("seed %d epoch %d: %d shards moved, %d would do", seed, epoch, moved, lack)
	}
	active := Activate(n.now, next)
	if got, most := active.NotReady(), max(MoveBound(n.shards), n.now.NotReady()); got > most {
		t.Fatalf("seed %d epoch %d: %d shards on the move, at most %d", seed, epoch, got, most)
	}
	if moved < lack && active.NotReady() < MoveBound(n.shards) && n.now.NotReady() == 0 {
		t.Fatalf("seed %d epoch %d: %d of %d moves were made and there was room for more", seed, epoch, moved, lack)
	}
	for s := range active.Holder {
		keeper := n.now.Holder[s]
		if !n.now.From[s].IsZero() {
			keeper = n.now.From[s]
		}
		if active.Holder[s] != keeper && active.From[s] != keeper {
			t.Fatalf("seed %d epoch %d: nobody keeps shard %d", seed, epoch, s)
		}
	}
	for s := range active.From {
		if n.r.Intn(2) == 0 {
			active.From[s] = NodeID{}
		}
	}
	n.now = active
}

func TestAFreshNodeGetsItsShareInTime(t *testing.T) {
	var list []Candidate
	for i := range 7 {
		list = append(list, Candidate{ID: id(i), Stake: 100, Capacity: 28})
	}
	now, err := First(28, list[:6])
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		next, err := Next(now, list, nobody)
		if err != nil {
			t.Fatal(err)
		}
		now = Activate(now, next)
		now.From = make([]NodeID, 28)
	}
	if got := now.Count()[list[6].ID]; got != 4 {
		t.Fatalf("the new node has %d of 28 shards after three epochs, want 4", got)
	}
}

func TestACommitteeNeverShrinksBelowFour(t *testing.T) {
	var list []Candidate
	for i := range 5 {
		list = append(list, Candidate{ID: id(i), Stake: 100, Capacity: 10})
	}
	now, err := First(10, list)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Next(now, list[:3], nobody)
	if err != nil || fmt.Sprint(next) != fmt.Sprint(now) {
		t.Fatalf("three candidates changed the committee: %v %v", next, err)
	}
	if _, err := First(10, nil); !errors.Is(err, ErrNoNodes) {
		t.Fatal(err)
	}
	one, err := First(10, list[:1])
	if err != nil || one.Count()[list[0].ID] != 10 {
		t.Fatalf("one node alone: %v %v", one, err)
	}
}

func TestDHondtByHand(t *testing.T) {
	// 100, 80, 30, 20 over 8 seats: the textbook gives 4, 3, 1, 0. The cap of 2 (=f, =8/4)
	// would give 2 to each, but 20 of 230 may have 1 (floor of 1.39): one is over, the cap
	// gives way, and the highest quotient is 100/3.
	var list []Candidate
	for i, s := range []token.Amount{100, 80, 30, 20} {
		list = append(list, Candidate{ID: id(i), Stake: s, Capacity: 8})
	}
	seats, err := Seats(8, list, func(c Candidate) int { return c.Capacity })
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{3, 2, 2, 1} {
		if seats[list[i].ID] != want {
			t.Errorf("node %d has %d seats, want %d", i, seats[list[i].ID], want)
		}
	}
	for _, c := range []struct{ shards, nodes, want int }{{28, 7, 9}, {10, 4, 3}, {7, 4, 2}, {100, 20, 10}, {1000, 30, 100}, {1000, 4, 333}, {28, 1, 28}, {100, 19, 33}, {100, 8, 33}} {
		if got := Cap(c.shards, c.nodes); got != c.want {
			t.Errorf("cap of %d shards, %d nodes: %d, want %d", c.shards, c.nodes, got, c.want)
		}
	}
}

func FuzzParseNodeID(f *testing.F) {
	f.Add(id(1).String())
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseNodeID(s); err == nil && n.String() != strings.TrimSpace(s) {
			t.Fatalf("%q is read as %s", s, n)
		}
	})
}
