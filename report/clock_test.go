package report

import (
	"errors"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func TestALedgerStandsStillAfterTenBlocksAndFiveSeconds(t *testing.T) {
	n := newWorld(t, 4, 1000*token.WAL).now()
	limit := 5*time.Second + 10*time.Duration(n.Params.BlockMs)*time.Millisecond
	for after, want := range map[time.Duration]bool{-time.Hour: false, 0: false, limit: false, limit + time.Millisecond: true, time.Hour: true} {
		n.At = genesisTime.Add(after)
		s := n.LedgerState("chain", true)
		if n.Still() != want || s.Still != want || s.Age != max(0, after.Seconds()) || !s.Verified || s.Chain != "chain" || s.Height != n.Head.Height || !s.Time.Equal(genesisTime) {
			t.Errorf("after %s: %+v", after, s)
		}
	}
}

func TestAnEpochBeginsWhenTheBlocksBeforeItHaveHadTheirTime(t *testing.T) {
	w := newWorld(t, 4, 1000*token.WAL)
	w.Epoch()
	w.Block()
	n := w.now()
	n.At = genesisTime.Add(time.Minute)
	block, epoch := time.Duration(n.Params.BlockMs)*time.Millisecond, time.Duration(n.Params.EpochBlocks()*n.Params.BlockMs)*time.Millisecond
	if n.Head.Epoch != 1 || n.Head.Height != n.Head.EpochStart+1 {
		t.Fatalf("%+v", n.Head)
	}
	next := n.At.Add(epoch - block) // the second block of the epoch is made
	for e, want := range map[unit.Epoch]time.Time{0: genesisTime, 1: genesisTime, 2: next, 3: next.Add(epoch), 12: next.Add(10 * epoch)} {
		if got := n.Begins(e); !got.Equal(want) {
			t.Errorf("epoch %d begins %s, want %s", e, got, want)
		}
	}
	middle := n.Head.Middle()
	for height, want := range map[unit.Height]unit.Epoch{n.Head.Height: 2, middle - 1: 2, middle: 3, n.Head.EpochEnd: 3, n.Head.EpochEnd + 1: 3} {
		if got := n.CountsFrom(height); got != want {
			t.Errorf("stake of height %d counts from epoch %d, want %d", height, got, want)
		}
	}
}

func TestAnEmptyStateIsAnError(t *testing.T) {
	if _, err := Look(ledger.View{R: state.NewMemory()}, genesisTime); !errors.Is(err, ledger.ErrAbsent) {
		t.Errorf("%v", err)
	}
}
