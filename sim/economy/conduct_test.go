package economy

import (
	"math"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/staking"
)

// history is an outages with one outage, then none.
func history(from, until float64) *outages {
	return &outages{up: math.Inf(1), random: sim.Stream(1, 0, 0), from: from, until: until}
}

func TestANodeThatIsOfflineAtTheDrawIsNotCreditedForThreeRounds(t *testing.T) {
	when := realTiming()
	const a, i, f, p = staking.Away, staking.Away, staking.Failed, staking.Passed // i: away lately
	for _, c := range []struct {
		what        string
		from, until float64
		want        []staking.Outcome
	}{
		{"a short one between two draws", 1.5, 1.9, []staking.Outcome{p, p, p, p, p, p}},
		{"a draw", 0.9, 1.5, []staking.Outcome{p, a, i, i, p, p}},
		{"two draws", 0.9, 2.5, []staking.Outcome{p, a, a, i, i, p}},
		{"between draw and proof", 1 + (when.drawn+when.due)/2, 1.5, []staking.Outcome{p, f, p, p, p, p}},
		{"between draw and proof, and the next draw", 1 + (when.drawn+when.due)/2, 2.5, []staking.Outcome{p, f, a, i, i, p}},
	} {
		n := &conduct{challengeTimes: realTiming(), own: history(c.from, c.until)}
		var got []staking.Outcome
		for r := range c.want {
			n.begin(r)
			got = append(got, n.shard())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestAZoneTakesItsNodesWithIt(t *testing.T) {
	o := Default(4)
	o.Zones, o.ZoneUptime = 2, 0.5
	for i := range o.Uptime {
		o.Uptime[i] = 1
	}
	nodes := o.conducts()
	differ := 0
	for r := range 1000 {
		for _, n := range nodes {
			n.begin(r)
		}
		if nodes[0].away != nodes[2].away || nodes[1].away != nodes[3].away {
			t.Fatalf("round %d: nodes of one zone are not away together", r)
		}
		if nodes[0].away != nodes[1].away {
			differ++
		}
	}
	if differ < 100 {
		t.Errorf("zones fail together: they differ in %d of 1000 rounds", differ)
	}
}

func TestUptimeIsWhatWasAskedFor(t *testing.T) {
	for _, u := range []float64{0.9, 0.99, 1} {
		const rounds = 2_000_000
		n := &conduct{challengeTimes: realTiming(), own: newOutages(defaultOutages(), u, sim.Stream(1, streamOutages, 0))}
		away := 0
		for r := range rounds {
			if n.begin(r); n.away {
				away++
			}
		}
		if got := 1 - float64(away)/rounds; math.Abs(got-u) > 0.1*(1-u) {
			t.Errorf("uptime %v became %v (seed 1)", u, got)
		}
	}
}

func TestDetectionIsThatOfThirtyTwoDraws(t *testing.T) {
	for p, want := range map[float64]float64{0: 0, 0.01: 0.275, 0.05: 0.806, 0.1: 0.966, 1: 1} {
		if got := sim.Detection(p); math.Abs(got-want) > 0.001 {
			t.Errorf("of %v it is %v, want %v", p, got, want)
		}
		n := &conduct{challengeTimes: realTiming(), own: history(math.Inf(1), math.Inf(1)), caught: sim.Detection(p), random: sim.Stream(1, streamDraws, 0)}
		n.begin(0)
		failed := 0
		for range 10_000 {
			if n.shard() == staking.Failed {
				failed++
			}
		}
		if got := float64(failed) / 10_000; math.Abs(got-want) > 0.02 {
			t.Errorf("of %v, %v of the rounds failed (seed 1), want %v", p, got, want)
		}
	}
}

func TestWhatANodeDropsDoesNotChangeWhenItFails(t *testing.T) {
	honest, other := Default(4), Default(4)
	other.Drop[1], other.Uptime[2] = 0.5, 0.5
	a, b := honest.conducts(), other.conducts()
	for r := range 20_000 {
		for i := range a {
			a[i].begin(r)
			b[i].begin(r)
			b[i].shard()
		}
		if a[1].all != b[1].all || a[0].all != b[0].all {
			t.Fatalf("round %d", r)
		}
	}
}

func TestTheLadderAloneFindsANodeThatIsHardlyThere(t *testing.T) {
	if a := runAlone(defaultOutages(), 0.3, 20, 1); a.Slashed != 20 || a.Rungs[6] == 0 {
		t.Errorf("uptime 0.3: %+v", a)
	}
	if a := runAlone(Outages{Median: 1, Tail: 0}, 0.99, 20, 1); a.Slashed != 0 {
		t.Errorf("an hour now and then: %+v", a)
	}
}
