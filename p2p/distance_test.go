package p2p

import (
	"testing"
	"time"
)

// The distance to the nodes of the ledger is learned from their answers, and is not that of
// a single slow one.
func TestTheDistanceOfTheLedgersNodesIsLearned(t *testing.T) {
	farAway(t, func(t *testing.T, trips func(time.Duration) float64) {
		server := newHost(t, 1, "net")
		server.ServeLedger(echo{})
		client := newHost(t, 2, "net", server.Addrs()...)
		if d := client.Distance(); d != 0 {
			t.Errorf("%s before any answer", d)
		}
		for range 20 {
			if _, err := client.AskLedger(within(t), server.ID(), AskGet, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if n := trips(client.Distance()); n < 0.95 || n > 1.1 {
			t.Errorf("%.2f round trips", n)
		}
	})
	var d distance
	for range 10 {
		d.note(100 * time.Millisecond)
	}
	d.note(time.Second)
	if got := time.Duration(d.nanoseconds.Load()); got > 300*time.Millisecond {
		t.Errorf("after one slow answer %s", got)
	}
}
