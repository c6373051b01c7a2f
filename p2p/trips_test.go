package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/p2p/p2ptest"
)

// farAway runs a test in virtual time with hosts that are a round trip of 150 ms apart.
func farAway(t *testing.T, test func(t *testing.T, trips func(time.Duration) float64)) {
	t.Helper()
	const away = 150 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		simulated.Store(t, p2ptest.NewNetwork(t, away/2, 0))
		t.Cleanup(func() { simulated.Delete(t) })
		test(t, func(d time.Duration) float64 { return float64(d) / float64(away) })
	})
}

func TestAFirstQuestionCostsFewRoundTrips(t *testing.T) {
	farAway(t, func(t *testing.T, trips func(time.Duration) float64) {
		server := newHost(t, 1, "net")
		server.ServeLedger(echo{})
		client := newHost(t, 2, "net", server.Addrs()...)
		ctx := within(t)
		for _, most := range []float64{2.2, 1.1} {
			began := time.Now()
			if _, err := client.AskLedger(ctx, server.ID(), AskGet, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if n := trips(time.Since(began)); n > most {
				t.Errorf("%.2f round trips, at most %.1f", n, most)
			}
		}
	})
}
