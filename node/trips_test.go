package node

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// distantLedger is a client's ledger a round trip away, whose receipts come with their proofs.
type distantLedger struct {
	local
	block time.Duration // until a block takes a transaction
}

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
	time.Sleep(farRoundTrip/2 + l.block)
	r, err := l.local.Submit(ctx, tx)
	if err != nil {
		return r, ledger.View{}, err
	}
	v, err := l.local.View(ctx)
	time.Sleep(farRoundTrip / 2)
	return r, v, err
}

// distantClient is a client farRoundTrip from the nodes and the ledger, whose blocks come at
// once.
func (n *network) distantClient() *client.Client {
	n.t.Helper()
	return n.distantClientOf(0)
}

// distantClientOf is a client farRoundTrip from the nodes and a ledger that takes some time for
// a block.
func (n *network) distantClientOf(block time.Duration) *client.Client {
	n.t.Helper()
	c := n.clientOf(distantLedger{n.ledger, block})
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

// A process that knows the committee of the one before it asks and offers while it looks at
// the ledger: a round trip less than one that knows none.
func TestAKnownCommitteeSavesARoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait() // they serve
		first, data := n.distantClient(), random(1000, 1)
		id := n.store(within(t), first, data).ID
		known := first.Known()
		if known == nil {
			t.Fatal("a client that has stored knows no committee")
		}
		trips := func(do func(c *client.Client)) (cold, recalled float64) {
			for _, kept := range [][]byte{nil, known} {
				c := n.distantClient()
				if kept != nil {
					if err := c.Recall(kept); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				do(c)
				cold, recalled = recalled, float64(time.Since(began))/float64(farRoundTrip)
			}
			return cold, recalled
		}
		seed := int64(10)
		cold, recalled := trips(func(c *client.Client) { seed++; n.store(within(t), c, random(1000, seed)) })
		if recalled > 4.2 || cold < recalled+0.9 {
			t.Errorf("a store takes %.2f round trips, and %.2f with a known committee", cold, recalled)
		}
		cold, recalled = trips(func(c *client.Client) { n.read(within(t), c, id, data) })
		if recalled > 2.2 || cold < recalled+0.9 {
			t.Errorf("a read takes %.2f round trips, and %.2f with a known committee", cold, recalled)
		}
	})
}

// known is a committee as a client keeps it.
type known struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Chain   token.ChainID
	Epoch   unit.Epoch
	Members []knownMember
	Holder  []uint64
	From    []uint64
}

type knownMember struct {
	_         struct{} `cbor:",toarray"`
	Key       []byte
	BLS       token.BLSPublicKey
	Addresses []string
}

// What is known of a committee from before decides nothing: where it is old, and where
// strangers took its place, blobs are stored with the members that the ledger names, are paid
// for once, and are read whole.
func TestAKnownCommitteeIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait() // they serve
		first, data := n.distantClient(), random(1000, 1)
		id := n.store(within(t), first, data).ID
		spent := func() uint64 {
			a, err := n.view().Account(n.wallet.Address())
			if err != nil {
				t.Fatal(err)
			}
			return a.Nonce
		}
		seed := int64(10)
		for name, bend := range map[string]func(*known){
			"another epoch": func(k *known) { k.Epoch += 7 },
			"other seats":   func(k *known) { slices.Reverse(k.Holder) },
			"other keys":    func(k *known) { k.Members[0].BLS, k.Members[1].BLS = k.Members[1].BLS, k.Members[0].BLS },
			"one member":    func(k *known) { k.Members, k.Holder = k.Members[:1], make([]uint64, len(k.Holder)) },
			"nowhere": func(k *known) {
				for i := range k.Members {
					k.Members[i].Addresses = []string{"/ip4/192.0.2.1/udp/9/quic-v1"}
				}
			},
			"strangers": func(k *known) {
				for i := range k.Members {
					key := token.KeyFromSeed([32]byte{byte(i), 77}).Public()
					k.Members[i].Key = key[:]
				}
			},
		} {
			var k known
			if err := canon.Decode(first.Known(), &k); err != nil {
				t.Fatal(err)
			}
			bend(&k)
			c := n.distantClient()
			if err := c.Recall(canon.Encode(k)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n.read(within(t), c, id, data)
			c = n.distantClient()
			if err := c.Recall(canon.Encode(k)); err != nil {
				t.Fatal(err)
			}
			seed++
			before, mine := spent(), random(1000, seed)
			n.read(within(t), first, n.store(within(t), c, mine).ID, mine)
			if got := spent() - before; got != 1 {
				t.Errorf("%s: %d transactions for a store", name, got)
			}
			if !bytes.Equal(c.Known(), first.Known()) {
				t.Errorf("%s: the client goes on with what it recalled", name)
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
