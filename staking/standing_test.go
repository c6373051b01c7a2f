package staking

import (
	"testing"

	"github.com/walrus-network/walrus/unit"
)

// A verdict of the end of an epoch jails for the epoch after the next. Until then there
// is time for another verdict, which must not push the jail away before it.
func TestANodeThatFailsAgainAndAgainStaysInJail(t *testing.T) {
	for _, span := range []uint64{1, 2, 5} {
		l := Default().Ladder
		l.JailEpochs = span
		var s Sanctions
		last := map[unit.Epoch]bool{} // epochs at whose end it fails
		for _, e := range []unit.Epoch{0, 1, 2, 3, 9, 11, 30, 40, 41} {
			last[e] = true
		}
		for epoch := range unit.Epoch(60) {
			due := false
			for e := range last {
				due = due || e+2 <= epoch && epoch < (e+2).Plus(span)
			}
			if got := s.Jailed(epoch); got != due {
				t.Errorf("a jail of %d epochs: in epoch %d jailed is %v", span, epoch, got)
			}
			c := Performance{Credit: Credit{Judged: 100, Proven: 100}, Enough: true}
			if last[epoch] {
				c.Proven, c.Failed = 70, 30
			}
			_, s = l.Judge(c, s, epoch)
		}
	}
}

// A vote that makes jail shorter shortens nobody's sentence, and one who offends again
// does not get out sooner for it.
func TestAShorterJailDoesNotShortenASentence(t *testing.T) {
	l := Default().Ladder
	l.JailEpochs = 5
	fails := Performance{Credit: Credit{Judged: 100, Proven: 70, Failed: 30}, Enough: true}
	_, s := l.Judge(fails, Sanctions{}, 0)
	l.JailEpochs = 1
	_, s = l.Judge(fails, s, 2)
	for epoch := range unit.Epoch(10) {
		if got, want := s.Jailed(epoch), 2 <= epoch && epoch < 7; got != want {
			t.Errorf("in epoch %d jailed is %v", epoch, got)
		}
	}
}

// A number of lies that no node can reach would expel none, and let the record of a node
// grow with each lie that counts.
func TestALadderThatExpelsNoLiarIsRefused(t *testing.T) {
	for lies, want := range map[uint64]bool{0: false, 1: true, mostLies: true, mostLies + 1: false, 1 << 63: false} {
		p := Default()
		p.Ladder.LiesOut = lies
		if err := p.Validate(); (err == nil) != want {
			t.Errorf("%d lies: %v", lies, err)
		}
	}
}
