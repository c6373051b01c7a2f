package p2p

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
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

// A question costs one round trip, and to open a connection another one; over QUIC, as the
// network in memory has it. TCP takes two more.
func TestAFirstQuestionCostsFewRoundTrips(t *testing.T) {
	farAway(t, func(t *testing.T, trips func(time.Duration) float64) {
		server := newHost(t, 1, "net")
		server.ServeLedger(echo{})
		keeper := &shelf{held: map[blob.Position][]byte{{Place: 3}: []byte("fragment")}}
		server.ServeFragments(keeper)
		client := newHost(t, 2, "net", server.Addrs()...)
		ctx := within(t)
		ask := func() error {
			_, err := client.AskLedger(ctx, server.ID(), AskGet, []byte("x"))
			return err
		}
		var line *FragmentLine
		read := func() (err error) {
			if line == nil {
				reader := newHost(t, 3, "net", server.Addrs()...)
				if line, err = reader.FragmentLine(ctx, server.ID(), nil, new(atomic.Int64)); err != nil {
					return err
				}
			}
			return line.Pieces(ctx, blob.ID{}, blob.Row, []blob.Place{3}, 0, 1, 100, func(Piece) error { return nil })
		}
		for _, step := range []struct {
			name string
			do   func() error
			most float64
		}{
			{"a question on a new connection", ask, 2.2}, {"a question on a line that stands", ask, 1.1},
			{"a fragment on a new connection", read, 2.2}, {"a fragment on a line that stands", read, 1.1},
		} {
			began := time.Now()
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			n := trips(time.Since(began))
			t.Logf("%s: %.2f round trips", step.name, n)
			if n > step.most {
				t.Errorf("%s: %.2f round trips, at most %.1f", step.name, n, step.most)
			}
		}
		line.End()
	})
}
