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

// A question costs what its answer costs the node to make and to send: one that asks for as
// much as there may be is not as cheap as one that asks for a number.
func TestLargeAnswersCostMoreThanSmallOnes(t *testing.T) {
	for _, c := range []struct {
		ask   Ask
		bytes int
	}{{AskGet, MaxAnswer}, {AskStatus, 4}} {
		virtual(t, func(t *testing.T) {
			server, asker := wary(t), strange(t, 1)
			server.ServeLedger(gigantic{})
			if err := asker.Connect(within(t), server.ID(), server.Addrs()); err != nil {
				t.Fatal(err)
			}
			const questions = 400
			began := time.Now()
			for range questions {
				if _, err := asker.AskLedger(within(t), server.ID(), c.ask, nil); err != nil {
					t.Fatal(err)
				}
			}
			cost := questions * (1 + float64(c.bytes)/answerBytes)
			least := time.Duration((cost - asksAtOnce - 2*float64(c.bytes)/answerBytes) / asksPerSecond * float64(time.Second))
			if took := time.Since(began); took < least || took > least+10*time.Second {
				t.Errorf("%d answers of %d bytes after %s, want %s", questions, c.bytes, took, least)
			}
		})
	}
}
