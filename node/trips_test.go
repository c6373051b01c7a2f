package node

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
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

// A client that stands reads a small blob in one round trip: the ledger is asked whether the
// blob may be read while its bytes are on their way. A node that gives another manifest, or is
// silent, changes no byte.
func TestAWarmReadTakesOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait() // they serve
		c, data := n.distantClient(), random(1000, 1)
		id := n.store(within(t), c, data).ID
		read := func() float64 {
			began := time.Now()
			n.read(within(t), c, id, data)
			return float64(time.Since(began)) / float64(farRoundTrip)
		}
		for i := range 3 {
			if trips := read(); i > 0 && trips > 1.3 {
				t.Errorf("read %d of a client that stands takes %.2f round trips", i, trips)
			}
		}
		other := n.store(within(t), c, random(1000, 2)).ID
		for i, bend := range []p2p.Keeper{forger{keeper{n.nodes[5].node}, other}, mute{keeper{n.nodes[6].node}}} {
			n.nodes[5+i].host.ServeFragments(bend)
			reader := n.distantClient()
			for range 3 {
				n.read(within(t), reader, id, data)
			}
		}
	})
}

// forger gives the manifest of another blob.
type forger struct {
	keeper
	other blob.ID
}

func (f forger) Manifest(ctx context.Context, _ blob.ID) (blob.Manifest, error) {
	return f.keeper.Manifest(ctx, f.other)
}

// What is here before the ledger has spoken is not handed on if the ledger says that the blob
// was deleted, though every node still has it.
func TestWhatWasReadAheadOfARefusalIsNotHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait()
		c := n.distantClient()
		id := n.store(within(t), c, random(1000, 1)).ID
		if _, err := c.Send(within(t), n.wallet, ledger.Delete{Blob: id}); err != nil {
			t.Fatal(err)
		}
		d, err := client.DirectoryOf(n.view())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := c.ReadSmall(within(t), d, id); err != nil || len(b) != 1000 {
			t.Fatalf("the nodes gave %d bytes: %v", len(b), err)
		}
		var got bytes.Buffer
		if err := c.ReadBlob(within(t), id, &got); !errors.Is(err, client.ErrEnded) || got.Len() > 0 {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
	})
}
