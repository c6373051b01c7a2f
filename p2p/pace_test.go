package p2p

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestOnlyAPeerThatAsksTooMuchIsSlowedDown(t *testing.T) {
	s := newPaces()
	now := time.Unix(1000, 0)
	s.now = func() time.Time { return now }
	for i := range asksAtOnce {
		if wait := s.spend("greedy", 1); wait != 0 {
			t.Fatalf("question %d waits %s", i, wait)
		}
	}
	if wait := s.spend("greedy", asksPerSecond); wait != time.Second {
		t.Errorf("a second's worth too much waits %s", wait)
	}
	if wait := s.spend("other", 1); wait != 0 {
		t.Errorf("another waits %s", wait)
	}
	now = now.Add(2 * time.Second)
	if wait := s.spend("greedy", 1); wait != 0 {
		t.Errorf("after a pause it waits %s", wait)
	}
	for i := range 3 * maxScores {
		now = now.Add(10 * time.Second)
		s.spend(peer.ID(fmt.Sprint(i)), 1)
	}
	if len(s.of) > maxScores+1 {
		t.Errorf("%d peers are remembered", len(s.of))
	}
}
