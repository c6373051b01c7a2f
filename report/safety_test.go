package report

import (
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// committeeOf gives nodes shards in order.
func committeeOf(shards ...int) (c ledger.Committee) {
	for i, n := range shards {
		id := staking.NodeID{byte(i + 1)}
		c.Nodes = append(c.Nodes, ledger.Member{ID: id, Shards: n, Power: n})
		for range n {
			c.Holder, c.From = append(c.Holder, id), append(c.From, staking.NodeID{})
		}
	}
	return c
}

func allStated(staking.NodeID) bool { return true }

func proved(shards ...blob.Shard) *ledger.LastDraw {
	return &ledger.LastDraw{Passed: blob.NewSet(10, shards...)}
}

// Of ten shards any four bring a blob back: by hand, what of them counts, and what can
// be lost.
func TestSafetyCountsWhatIsCertainOnly(t *testing.T) {
	shape, err := blob.NewShape(10)
	if err != nil || shape.K1 != 4 || shape.K2 != 7 {
		t.Fatal(shape, err)
	}
	whole := committeeOf(3, 3, 2, 2)
	moving := committeeOf(3, 3, 2, 2)
	moving.From[0], moving.From[3] = staking.NodeID{4}, staking.NodeID{4}
	for _, c := range []struct {
		name              string
		committee         ledger.Committee
		drawn             *ledger.LastDraw
		verdict           Level
		ready, counted    int
		shards, nodesLost int
		text              string
	}{
		{"not drawn yet", whole, nil, Safe, 10, 10, 6, 2, "10 of 10 shards on 4 nodes signed for it; it outlives any 6 shards or 2 nodes"},
		{"all proved it", whole, proved(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), Safe, 10, 10, 6, 2, "on 4 nodes proved it"},
		{"two shards on their way", moving, nil, Safe, 8, 8, 4, 2, "8 of 10 shards"},
		{"one of them had passed before", moving, proved(0, 1, 2, 4, 5, 6, 7, 8, 9), Safe, 8, 8, 4, 2, "8 of 10 shards"},
		{"a node did not prove it", whole, proved(3, 4, 5, 6, 7, 8, 9), Safe, 10, 7, 3, 1, "7 of 10 shards on 3 nodes proved it; it outlives any 3 shards or 1 node"},
		{"two nodes did not", whole, proved(3, 4, 5, 6, 7), Weakened, 10, 5, 1, 0, "outlives any 1 shard or 0 nodes"},
		{"just enough", whole, proved(0, 1, 2, 3), Doubtful, 10, 4, 0, 0, "it can lose none"},
		{"too few", whole, proved(0, 9), Doubtful, 10, 2, 0, 0, "2 of 10 shards on 2 nodes proved it; it takes 4"},
		{"no shard", whole, proved(), Doubtful, 10, 0, 0, 0, "0 of 10 shards on 0 nodes proved it; it takes 4"},
	} {
		s := SafetyOf(c.committee, shape, Evidence{Stated: allStated, Drawn: c.drawn})
		if s.Verdict != c.verdict || s.Ready != c.ready || s.Counted != c.counted || s.SpareShards != c.shards || s.SpareNodes != c.nodesLost || s.Ready+s.Moving != 10 {
			t.Errorf("%s: %+v", c.name, s)
		}
		if text := s.String(); !strings.HasPrefix(text, string(c.verdict)+": ") || !strings.Contains(text, c.text) {
			t.Errorf("%s: %s", c.name, text)
		}
	}
}

// Whatever nodes are lost, SpareNodes of them leave enough, and one more may not.
func TestSpareNodesIsTheWorstCase(t *testing.T) {
	shape, _ := blob.NewShape(10)
	for _, shards := range [][]int{{3, 3, 2, 2}, {1, 4, 1, 4}, {2, 2, 2, 2, 2}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {6, 2, 1, 1}} {
		c := committeeOf(shards...)
		s := SafetyOf(c, shape, Evidence{Stated: allStated})
		survives := func(lost int) bool { // whatever set of so many nodes
			for set := range 1 << len(shards) {
				n, left := 0, 0
				for i, count := range shards {
					if set>>i&1 == 1 {
						n++
					} else {
						left += count
					}
				}
				if n == lost && left < shape.K1 {
					return false
				}
			}
			return true
		}
		if !survives(s.SpareNodes) || survives(s.SpareNodes+1) {
			t.Errorf("%v: %d nodes to spare", shards, s.SpareNodes)
		}
	}
}

// A node that did not sign the certificate, and that has reported nothing since, does not
// count. What a node shows now outranks older evidence, for it and against it. Silent nodes
// are counted.
func TestSafetyTellsLedgerProofAndPresenceApart(t *testing.T) {
	shape, err := blob.NewShape(7) // any 3 bring it back, 5 make it safe
	if err != nil || shape.K1 != 3 || shape.K2 != 5 {
		t.Fatal(shape, err)
	}
	c := committeeOf(2, 2, 2, 1)
	node := func(i int) staking.NodeID { return staking.NodeID{byte(i)} }
	unsigned := func(n staking.NodeID) bool { return n != node(3) }
	here := func(n int) fetch.NodeAudit { return fetch.NodeAudit{Shards: n, Held: n, Asked: n, Verified: n} }
	gone := func(n int) fetch.NodeAudit { return fetch.NodeAudit{Shards: n, Asked: n, Missing: n} }
	silent := func(n int) fetch.NodeAudit { return fetch.NodeAudit{Shards: n, Asked: n, Refused: n} }
	for _, one := range []struct {
		name    string
		known   Evidence
		verdict Level
		counted int
		text    string
	}{
		{"one did not sign", Evidence{Stated: unsigned}, Safe, 5, "5 of 7 shards on 3 nodes signed for it; it outlives any 2 shards or 1 node"},
		{"it shows it now", Evidence{Stated: unsigned, Asked: &Answers{Nodes: map[staking.NodeID]fetch.NodeAudit{node(1): here(2), node(2): here(2), node(3): here(2), node(4): here(1)}}}, Safe, 7, "7 of 7 shards on 4 nodes show it now"},
		{"two were wiped", Evidence{Stated: unsigned, Asked: &Answers{Nodes: map[staking.NodeID]fetch.NodeAudit{node(1): gone(2), node(2): gone(2), node(3): gone(2), node(4): here(1)}}}, Doubtful, 1, "it takes 3; 4 shards that the ledger counts are not there now"},
		{"one is silent", Evidence{Stated: allStated, Asked: &Answers{Nodes: map[staking.NodeID]fetch.NodeAudit{node(1): silent(2), node(2): here(2), node(3): here(2), node(4): here(1)}}}, Safe, 7, "1 node with 2 shards of these is silent now"},
		{"no node was reached", Evidence{Stated: unsigned, Asked: &Answers{Nodes: map[staking.NodeID]fetch.NodeAudit{}}}, Safe, 5, "4 nodes with 5 shards of these are silent now"},
		{"it proved it since", Evidence{Stated: unsigned, Drawn: proved(0, 1, 2, 3, 4, 5, 6)}, Safe, 7, "7 of 7 shards on 4 nodes proved it"},
	} {
		s := SafetyOf(c, shape, one.known)
		if s.Verdict != one.verdict || s.Counted != one.counted || !strings.Contains(s.String(), one.text) {
			t.Errorf("%s: %s: %+v", one.name, s, s)
		}
	}
}
