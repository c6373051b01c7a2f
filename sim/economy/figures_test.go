package economy

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/token"
)

func TestUpperBoundIsClopperAndPearsons(t *testing.T) {
	for _, c := range []struct {
		hits, n int
		want    float64
	}{
		{0, 2000, 1 - math.Pow(0.05, 1.0/2000)},
		{1, 10, 0.39416},
		{5, 100, 0.10225},
		{10, 10, 1},
		{0, 0, 1},
	} {
		if got := UpperBound(c.hits, c.n); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("%d of %d: %v, want %v", c.hits, c.n, got, c.want)
		}
	}
}

// A dropper that earned 40 of the honest node's 100 with half of its shards and lost 10.
func TestMarginsCountWhatIsSaved(t *testing.T) {
	r := Result{SupplyOK: true, Nodes: []Node{
		{Uptime: usualUptime, Income: 90 * token.WAL, Held: 10 * token.WAL, Operator: 90 * token.WAL, ShardEpochs: 20},
		{Uptime: usualUptime, Drop: 0.1, Income: 40 * token.WAL, Operator: 20 * token.WAL, Slashed: 10 * token.WAL, BondSlashed: 10 * token.WAL, ShardEpochs: 10, Slashes: []sim.Slash{{Epoch: 0, Rung: 4, Bps: 500}}},
	}}
	f := figures([]Result{r})
	found := 0
	for _, m := range f.Margins {
		if m.Drop != 0.1 || m.Cost != 0 && m.Cost != 1 {
			continue
		}
		found++
		// Its storage costs 0.9 x 10/20 of the honest node's.
		loss, operator := 100.0-30, 100.0-10
		if m.Cost == 1 {
			loss, operator = 0-(30-45), 0-(10-45)
		}
		if math.Abs(m.Loss-loss) > 1e-9 || math.Abs(m.Least-loss) > 1e-9 || math.Abs(m.Operator-operator) > 1e-9 {
			t.Errorf("%+v, want %v and %v", m, loss, operator)
		}
	}
	if found != 2 || f.Honest.Years != 1 || f.Drops[3].Slashed != 1 || f.Drops[3].Rungs[4] != 1 {
		t.Errorf("%+v", f)
	}
}

func TestAStudyKeepsWhatItHas(t *testing.T) {
	said := 0
	s := Study{Seeds: 2, Nodes: 42, Years: 2, Dir: filepath.Join(t.TempDir(), "runs"), Said: func(string, ...any) { said++ },
		of: func(nodes int) Options {
			o := Default(nodes)
			o.Epochs, o.Rounds, o.Shards = 2, 12, nodes
			return o
		}}
	f, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if said != 4 || f.Runs != 4 || !f.SupplyOK || f.Honest.Years != 2*(42+42-21) || f.Drops[4].Years != 6 || f.Drops[4].Income != 0 || f.Uptimes[0].Years != 6 {
		t.Errorf("%d runs: %+v", said, f)
	}
	again, err := s.Run(t.Context())
	if err != nil || said != 4 || !reflect.DeepEqual(f, again) {
		t.Errorf("%d runs, %v:\n%+v\n%+v", said, err, f, again)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "mixed-42-2.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context()); err == nil {
		t.Error("a broken file is taken for a result")
	}
	if _, err := (Study{Seeds: 1, Nodes: 41}).Run(t.Context()); err == nil {
		t.Error("a study with too few honest nodes")
	}
}

func TestAResultReadsBack(t *testing.T) {
	o := tiny()
	o.Drop[1] = 1
	r := run(t, o)
	var back Result
	if err := json.Unmarshal([]byte(text(t, r)), &back); err != nil {
		t.Fatal(err)
	}
	if back.Nodes[1].Profit >= 0 || text(t, back) != text(t, r) {
		t.Errorf("%s\n%s", text(t, r), text(t, back))
	}
}
