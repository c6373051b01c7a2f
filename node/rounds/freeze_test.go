package rounds

import (
	"errors"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

func TestAnswersWaitWhileAChallengeRuns(t *testing.T) {
	p := ledger.Testnet()
	p.Challenge = challenge.Default() // freeze 20, deadline 40
	shape, err := p.Shape()
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	m := blob.NewManifest(l, blob.Hash{1})
	other := blob.ID{2}
	start := time.Unix(0, 0)
	open := ledger.RoundState{Ordinal: 3, T: 100}
	closed := open
	closed.Closed = true
	drawn := open
	drawn.Drawn, drawn.Drawings = true, []ledger.DrawnStripe{{Manifest: m, Stripe: 0}}
	over := drawn
	over.Over = true
	for _, c := range []struct {
		name    string
		height  unit.Height
		round   ledger.RoundState
		id      blob.ID
		symbols bool
		after   time.Duration
		until   unit.Height // 0: no wait
	}{
		{"symbols before the reveals", 80, open, m.ID(), true, 0, 101},
		{"whole fragments then", 93, open, m.ID(), false, 0, 0},
		{"all while the beacon is closed", 94, closed, other, false, 0, 101},
		{"all for the block of the draw", 99, open, other, false, 0, 101},
		{"what was drawn", 100, drawn, m.ID(), false, 0, 140},
		{"its symbols", 120, drawn, m.ID(), true, 0, 140},
		{"what was not drawn", 120, drawn, other, true, 0, 0},
		{"after the deadline", 140, drawn, m.ID(), false, 0, 0},
		{"when it is over", 120, over, m.ID(), false, 0, 0},
		{"a ledger that stands still", 120, drawn, m.ID(), false, 3*60*500*time.Millisecond + 1, 0},
	} {
		var f Freeze
		f.Follow(ledger.Head{Height: c.height}, c.round, p, start)
		err := f.Refusal(c.id, 0, c.symbols, start.Add(c.after))
		var r *p2p.Refusal
		switch {
		case c.until == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.until > 0 && (!errors.As(err, &r) || r.Code != p2p.CodeWait || r.RetryHeight != c.until):
			t.Errorf("%s: %v, it waits until %d", c.name, err, c.until)
		}
	}
}
