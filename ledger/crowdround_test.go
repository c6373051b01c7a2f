package ledger

import (
	"math"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/state"
)

// A round of many nodes has a large record. What only reads it is no heavier than it weighs.
func TestABlockAboutRoundsTakesNoLongerThanItWeighs(t *testing.T) {
	testlevel.Middle(t, "compares speeds, and takes seconds of processor time")
	for _, nodes := range []int{100, 1000} {
		w := crowd(t, nodes)
		x, err := w.l.machine.exec()
		if err != nil {
			t.Fatal(err)
		}
		x.p.Challenged, x.p.Challenge = true, challenge.Default()
		x.head.Height = x.at
		r := RoundState{Round: challenge.RoundID{}, Ordinal: 7, T: 20, Over: true, Drawn: true, Ready: blob.NewSet[blob.Shard](nodes), Passed: blob.NewSet[blob.Shard](nodes)}
		for i := range 32 {
			r.Drawings = append(r.Drawings, DrawnStripe{Manifest: w.manifest(i, 1000)})
		}
		for i := range nodes {
			r.Reveals = append(r.Reveals, RoundReveal{Node: uint16(i)})
			r.Votes = append(r.Votes, RoundVote{Node: uint16(i), Yes: blob.NewSet[blob.Shard](nodes)})
		}
		x.put(KeyRound(), r)
		block, p := x.o, w.g.Params
		const n = 60
		size, work, each := 0, uint64(0), time.Duration(math.MaxInt64)
		for try := range 3 {
			began := time.Now()
			for i := range n {
				raw := Sign(w.users[1], w.l.ChainID(), uint64(try*n+i), fee, Dispute{Ordinal: 7, Shard: blob.Shard(i)})
				size, work = len(raw), p.Work(raw)
				x.o = state.NewOverlay(block)
				if a, err := x.run(block, raw); err == nil || !a.payable {
					t.Fatal(err)
				} else if i == 0 && try == 0 {
					t.Log(err)
				}
			}
			each = min(each, time.Since(began)/n)
		}
		fit := min(int(p.BlockBytes)/(size+4), int(p.BlockWork/work))
		full := each * time.Duration(fit)
		t.Logf("%d nodes: %s each, %d fit into a block: %s", nodes, each, fit, full)
		if tooHeavy(full) {
			t.Errorf("%d nodes: a block of disputes that fail takes %s", nodes, full)
		}
	}
}
