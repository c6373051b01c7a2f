package report

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// sameJSON compares the JSON of a value with a golden file.
func sameJSON(t *testing.T, name string, value any) {
	t.Helper()
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, name, string(raw)+"\n")
}

// The names, the order and the units of the fields are read by programs: they stay.
func TestTheJSONOfASafetyStays(t *testing.T) {
	shape, err := blob.NewShape(10)
	if err != nil {
		t.Fatal(err)
	}
	c := committeeOf(3, 3, 2, 2)
	c.From[9] = staking.NodeID{1}
	sameJSON(t, "safety-plain.json", SafetyOf(c, shape, Evidence{Stated: allStated}))

	drawn := proved(0, 1, 2, 3, 4, 6, 7)
	drawn.Round, drawn.Ordinal = challenge.RoundID{Epoch: 3, Round: 2}, 17
	drawn.Height, drawn.TimeMs, drawn.Stripes = 1234, 1_700_000_000_123, 5
	drawn.Failed, drawn.Away, drawn.Unclear, drawn.Void = 1, 1, 1, true
	s := SafetyOf(c, shape, Evidence{Stated: allStated, Drawn: drawn, Asked: &Answers{HeldBack: true, Took: 1500 * time.Millisecond,
		Nodes: map[staking.NodeID]fetch.NodeAudit{{1}: {Held: 3, Asked: 3}, {2}: {Held: 1, Asked: 3}, {3}: {Asked: 2, Refused: 2}}}})
	s.LastDraw, s.Challenged, s.DrawnEvery, s.RoundSeconds = drawOf(*drawn, shape), true, 2.5, 3600
	s.PassRate = &PassRate{Rounds: 4, Passed: 39, Assigned: 40, Rate: 0.975}
	sameJSON(t, "safety-full.json", s)
}

func TestTheJSONOfAStrengthStays(t *testing.T) {
	p := ledger.Default()
	p.Challenged = true
	c := committeeOf(1, 1, 1, 1, 1, 1, 1)
	of, none := Now{Params: p}.Strength(c, ledger.Usage{Drawable: 1_000_000, DrawableKiB: 1 << 50})
	if of == nil || none != "" {
		t.Fatal(none)
	}
	for i := range of.Caught { // the last digits of a logarithm differ between machines
		one := &of.Caught[i]
		one.Round, one.Span = float64(int(one.Round*1e4))/1e4, float64(int(one.Span*1e4))/1e4
	}
	sameJSON(t, "strength.json", of)
}

func TestWhereThereIsNoStrengthTheReasonIsGiven(t *testing.T) {
	p := ledger.Default()
	many, usage := committeeOf(1, 1, 1, 1, 1, 1, 1), ledger.Usage{Drawable: 9, DrawableKiB: 9}
	p.Challenged = false
	for want, got := range map[string]func() (*Strength, string){
		"this network asks no node for proof": func() (*Strength, string) { return Now{Params: p}.Strength(many, usage) },
		"fewer than 4 nodes: no node can judge another, and none is asked": func() (*Strength, string) {
			q := p
			q.Challenged = true
			return Now{Params: q}.Strength(committeeOf(1), usage)
		},
		"no blob can be drawn yet: each can a round after its certificate": func() (*Strength, string) {
			q := p
			q.Challenged = true
			return Now{Params: q}.Strength(many, ledger.Usage{})
		},
	} {
		if of, none := got(); of != nil || none != want {
			t.Errorf("%v, %q, want %q", of, none, want)
		}
	}
}
