package explain

import (
	"errors"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func TestAPriceIsExplainedUntilItsRecordIsOld(t *testing.T) {
	p := quick()
	p.HistoryEpochs = 3
	w := newWorld(t, p, 4)
	w.vote(ledger.Vote{Price: 2000, WritePrice: 1}, 0, 1, 2)
	w.vote(ledger.Vote{Price: 1150}, 3)
	w.toEpoch(2)
	for epoch := unit.Epoch(1); epoch <= 2; epoch++ {
		e, err := Price(w.View(), epoch)
		if err != nil || !e.Holds {
			t.Fatalf("%+v: %v", e, err)
		}
	}
	e, _ := Price(w.View(), 1)
	if text := explained(e); !strings.Contains(text, "1000 FROST x 2000/10000: 800 FROST to 1200 FROST") || !strings.Contains(text, "so it becomes | 1200 FROST") || !strings.Contains(text, "so it becomes | 400 FROST") {
		t.Errorf("%s", text)
	}
	if _, err := Price(w.View(), 0); !errors.Is(err, ErrNoRecord) {
		t.Errorf("of the genesis: %v", err)
	}
	w.toEpoch(4)
	for epoch, want := range map[unit.Epoch]bool{1: false, 2: true, 3: true, 4: true, 5: false} {
		if _, err := Price(w.View(), epoch); (err == nil) != want || err != nil && !errors.Is(err, ErrNoRecord) {
			t.Errorf("epoch %d in epoch 4: %v", epoch, err)
		}
	}
}

// A record that was not made by the rules is told from one that was.
func TestAnExplanationOfAWrongPriceDoesNotHold(t *testing.T) {
	w := newWorld(t, quick(), 4)
	w.vote(ledger.Vote{Price: 1100}, 0, 1, 2, 3)
	w.toEpoch(2)
	v := w.View()
	true1, _, _ := v.PriceRecord(1)
	for what, spoil := range map[string]func(*ledger.PriceRecord){
		"result": func(r *ledger.PriceRecord) { r.After++ }, "vote": func(r *ledger.PriceRecord) { r.Prices = []token.Amount{1200, 1200, 1200, 1200} },
		"write": func(r *ledger.PriceRecord) { r.WriteAfter-- }, "bound": func(r *ledger.PriceRecord) { r.BoundBps = 1 }, "shards": func(r *ledger.PriceRecord) { r.Shards = 40 },
	} {
		r := true1
		spoil(&r)
		spoilt := ledger.View{R: forged{v.R, ledger.KeyPriceRecord(1), canon.Encode(r)}}
		if e, err := Price(spoilt, 1); err != nil || e.Holds {
			t.Errorf("another %s: %v, holds %v", what, err, e.Holds)
		}
	}
	for what, spoil := range map[string]func(*ledger.PriceRecord){
		"a list too short": func(r *ledger.PriceRecord) { r.Writes = nil }, "more shards than there are": func(r *ledger.PriceRecord) { r.Shards = 3 },
	} {
		r := true1
		spoil(&r)
		spoilt := ledger.View{R: forged{v.R, ledger.KeyPriceRecord(1), canon.Encode(r)}}
		if _, err := Price(spoilt, 1); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	// And each record goes on from the one before.
	r := true1
	r.After++
	spoilt := ledger.View{R: forged{v.R, ledger.KeyPriceRecord(1), canon.Encode(r)}}
	if e, err := Price(spoilt, 2); err != nil || e.Holds {
		t.Errorf("after another record before: %v, holds %v", err, e.Holds)
	}
	if e, err := Price(v, 2); err != nil || !e.Holds {
		t.Errorf("the true one: %v, holds %v", err, e.Holds)
	}
}

// quick is epochs of two short rounds without challenges.
func quick() ledger.Params {
	p := judged()
	p.Challenged, p.RoundsPerEpoch = false, 2
	return p
}

func (c *world) vote(b ledger.Vote, nodes ...int) {
	c.Helper()
	for _, i := range nodes {
		b.Node = c.ID(i)
		c.do(c.users[0], b)
	}
}

func explained(e Explanation) string {
	var b strings.Builder
	for _, s := range e.Steps {
		b.WriteString(s.Text + " | " + s.Sum + "\n")
	}
	return b.String()
}
