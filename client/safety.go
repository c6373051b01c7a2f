package client

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// Verdict says in a word how safe a certified blob is, by the shards that count for it.
type Verdict string

// The verdicts, best first.
const (
	Safe     Verdict = "safe"     // as many shards as any write must reach, or more
	Weakened Verdict = "weakened" // fewer, but more than it takes to bring it back
	Doubtful Verdict = "doubtful" // no more than it takes, or fewer: nothing to spare, as far as is known
)

// Safety is how safe a certified blob is, by what the ledger says: a shard counts for
// it if its holder is ready, which is that it has signed that it holds everything, and
// if it passed when the blob was last drawn. What is not proven does not count, though
// it may well be there.
type Safety struct {
	Verdict Verdict
	Shards  int              // N
	Needed  int              // k1: any so many bring the blob back
	Ready   int              // shards whose holder is ready
	Moving  int              // shards being handed over, which their old holders keep meanwhile
	Counted int              // shards that count
	Drawn   *ledger.LastDraw // nil: it was not drawn yet
	Nodes   []Holding        // most counted shards first

	SpareShards int // whatever shards are lost, so many can be
	SpareNodes  int // and so many nodes, those with the most first
}

// Holding is a node's part of a blob.
type Holding struct {
	Node    staking.NodeID
	Shards  int // that it is ready for
	Counted int // of these
}

// SafetyOf works out how safe a certified blob is.
func SafetyOf(c ledger.Committee, shape blob.Shape, drawn *ledger.LastDraw) Safety {
	s := Safety{Shards: shape.N, Needed: shape.K1, Drawn: drawn}
	parts := map[staking.NodeID]*Holding{}
	for i, holder := range c.Holder {
		if !c.From[i].IsZero() {
			s.Moving++
			continue
		}
		if parts[holder] == nil {
			parts[holder] = &Holding{Node: holder}
		}
		s.Ready++
		parts[holder].Shards++
		if drawn == nil || drawn.Proved(blob.Shard(i)) {
			s.Counted++
			parts[holder].Counted++
		}
	}
	for _, m := range c.Nodes {
		if p := parts[m.ID]; p != nil {
			s.Nodes = append(s.Nodes, *p)
		}
	}
	slices.SortStableFunc(s.Nodes, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(b.Counted, a.Counted), cmp.Compare(b.Shards, a.Shards))
	})
	s.SpareShards = max(0, s.Counted-shape.K1)
	left := s.Counted
	for _, n := range s.Nodes {
		if left -= n.Counted; left < shape.K1 || n.Counted == 0 {
			break
		}
		s.SpareNodes++
	}
	switch {
	case s.Counted >= shape.K2:
		s.Verdict = Safe
	case s.Counted > shape.K1:
		s.Verdict = Weakened
	default:
		s.Verdict = Doubtful
	}
	return s
}

// String is the answer in a line.
func (s Safety) String() string {
	what := "hold it"
	if s.Drawn != nil {
		what = "proved it"
	}
	holders := 0
	for _, n := range s.Nodes {
		if n.Counted > 0 {
			holders++
		}
	}
	text := fmt.Sprintf("%s: %d of %d shards on %s %s; ", s.Verdict, s.Counted, s.Shards, counted(holders, "node"), what)
	switch {
	case s.SpareShards == 0 && s.Counted < s.Needed:
		return text + fmt.Sprintf("it takes %d", s.Needed)
	case s.SpareShards == 0:
		return text + "it can lose none"
	}
	return text + fmt.Sprintf("it outlives any %s or %s", counted(s.SpareShards, "shard"), counted(s.SpareNodes, "node"))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
