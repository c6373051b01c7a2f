package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
)

// distantLedger is a client's ledger a round trip away, whose receipts come with their proofs
// and whose blocks come at once.
type distantLedger struct{ local }

func (l distantLedger) Proves() bool { return true }

func (l distantLedger) View(ctx context.Context) (ledger.View, error) {
	time.Sleep(farRoundTrip)
	return l.local.View(ctx)
}

func (l distantLedger) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	r, _, err := l.SubmitAnd(ctx, tx)
	return r, err
}

func (l distantLedger) SubmitAnd(ctx context.Context, tx []byte, _ ...[]byte) (ledger.TxReceipt, ledger.View, error) {
	time.Sleep(farRoundTrip / 2)
	r, err := l.local.Submit(ctx, tx)
	if err != nil {
		return r, ledger.View{}, err
	}
	v, err := l.local.View(ctx)
	time.Sleep(farRoundTrip / 2)
	return r, v, err
}

// distantClient is a client farRoundTrip from the nodes and the ledger.
func (n *network) distantClient() *client.Client {
	n.t.Helper()
	c := n.clientOf(distantLedger{n.ledger})
	var err error
	if c.Shape, err = n.genesis.Params.Shape(); err != nil {
		n.t.Fatal(err)
	}
	return c
}

// A client that stands stores a small blob in three round trips, beside the waits for blocks:
// the stripes go along with the offer while the ledger is looked at, then the registration,
// then the certificate.
func TestAWarmStoreTakesThreeRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait() // they serve
		c := n.distantClient()
		for i := range 4 {
			data := random(1000, int64(i))
			began := time.Now()
			n.store(within(t), c, data)
			took := time.Since(began)
			t.Logf("store %d: %.2f round trips", i, float64(took)/float64(farRoundTrip))
			if i > 0 && took > 3*farRoundTrip+50*time.Millisecond {
				t.Errorf("store %d of a client that stands takes %.2f round trips", i, float64(took)/float64(farRoundTrip))
			}
		}
	})
}
