package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

func TestARoundIsReckonedForAllShards(t *testing.T) {
	p := ledger.Default()
	p.Challenged = true
	o := OpeningTime{Prove: time.Millisecond, Verify: 100 * time.Microsecond}
	draws := p.Challenge.Draws()
	got := o.InRound(p, 12)
	deadline := time.Duration(p.Challenge.Deadline*p.BlockMs) * time.Millisecond
	want := ProofTime{Shards: 12, Prove: time.Duration(12*draws) * time.Millisecond, Verify: time.Duration(100*p.Shards*draws) * time.Microsecond, Deadline: deadline, Jitter: deadline / 6}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := got.Enough(); err != nil {
		t.Error(err)
	}
	p.BlockMs = 1
	if err := o.InRound(p, 12).Enough(); !errors.Is(err, ErrMargin) || !strings.Contains(err.Error(), "at least 2.0x") {
		t.Errorf("a deadline of %d ms: %v", p.Challenge.Deadline, err)
	}
	p.Challenged = false
	if err := o.InRound(p, 12).Enough(); err != nil {
		t.Errorf("where nothing is asked: %v", err)
	}
}

func TestANodeIsToProveWhatItHasOrMayBeGiven(t *testing.T) {
	p := ledger.Default()
	p.Shards = 1000
	for _, one := range []struct{ nodes, has, want int }{{100, 7, 7}, {100, 0, staking.Cap(1000, 100)}, {0, 0, 1000}} {
		if got := ShardsToExpect(p, one.nodes, one.has); got != one.want {
			t.Errorf("%+v: %d", one, got)
		}
	}
}
