package node

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
)

// farRoundTrip is the time from one node to another and back.
const farRoundTrip = 150 * time.Millisecond

// wiped is the node that lacks every blob of a far network.
const wiped = 3

// far makes a network of seven nodes farRoundTrip apart, none of which runs yet. Blobs of
// some bytes are on the ledger, and all nodes hold them but the wiped one.
func far(t *testing.T, shards, blobs, size int, loss float64) *network {
	t.Helper()
	params := ledger.Testnet()
	params.RoundsPerEpoch *= 100 // every transaction is a block, and all are of one epoch
	n := newNetwork(t, 7, shards, params)
	n.plant(blobs, size)
	n.air.Stretch(t, farRoundTrip/2, loss)
	return n
}

// plant puts blobs into the stores of all nodes but the wiped one, and on the ledger. No
// node may run.
func (n *network) plant(blobs, size int) {
	n.t.Helper()
	ctx, v := context.Background(), n.view()
	d, err := client.DirectoryOf(v)
	if err != nil {
		n.t.Fatal(err)
	}
	stores := map[int]*store.Store{}
	for i, r := range n.nodes {
		if i == wiped {
			continue
		}
		if stores[i], err = store.Open(store.Options{Dir: filepath.Join(r.dir, "fragments"), Logger: quiet()}); err != nil {
			n.t.Fatal(err)
		}
		defer func() {
			if err := stores[i].Close(); err != nil {
				n.t.Error(err)
			}
		}()
	}
	payer := client.New(nil, n.ledger, n.ledger.ChainID(), quiet())
	var writing sync.WaitGroup
	defer writing.Wait()
	room := make(chan struct{}, 16)
	for seed := range blobs {
		c, pieces := n.pieces(d.Shape, random(size, int64(seed)))
		room <- struct{}{}
		writing.Go(func() {
			defer func() { <-room }()
			for i, s := range stores {
				if err := s.Keep(ctx, c.Manifest()); err != nil {
					n.t.Error(err)
				}
				id := n.genesis.Nodes[i].ID
				var mine []store.Piece
				for m, places := range d.Places(c.ID) {
					if d.Members[m].Addrs[0] == n.genesis.Nodes[i].Addresses[0] {
						for _, p := range places {
							mine = append(mine, pieces[p]...)
						}
					}
				}
				if err := s.Put(ctx, c.ID, mine...); err != nil {
					n.t.Error(id, err)
				}
			}
		})
		if _, err := payer.Send(ctx, n.wallet, ledger.RegisterBlob{Manifest: c.Manifest(), Epochs: 5, Owner: n.wallet.Address()}); err != nil {
			n.t.Fatal(err)
		}
		sigs := map[int]token.BLSSignature{}
		for m, member := range d.Members {
			for i, r := range n.nodes {
				if i != wiped && member.Addrs[0] == n.genesis.Nodes[i].Addresses[0] {
					sigs[m] = r.secret.BLSKey().Sign(registry.ConfirmMessage(n.ledger.ChainID(), 0, c.ID))
				}
			}
		}
		certificate, err := registry.NewCertificate(0, len(d.Members), sigs)
		if err != nil {
			n.t.Fatal(err)
		}
		if r, err := n.ledger.Submit(ctx, ledger.Unsigned(ledger.Certify{Blob: c.ID, Certificate: certificate})); err != nil || r.Err() != nil {
			n.t.Fatal(err, r.Err())
		}
	}
}

// pieces encodes a blob and gives what each place keeps.
func (n *network) pieces(shape blob.Shape, data memory) (blob.Commitment, map[blob.Place][]store.Piece) {
	n.t.Helper()
	l, err := shape.Layout(data.Size())
	if err != nil {
		n.t.Fatal(err)
	}
	code, out := redstuff.For(shape), map[blob.Place][]store.Piece{}
	source, _ := data.Open(0)
	var stripes []*redstuff.Stripe
	c, tree, err := code.Commit(context.Background(), l, source, 1, func(s *redstuff.Stripe) error {
		stripes = append(stripes, s)
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	for i, s := range stripes {
		path := tree.Path(i)
		proven, err := s.Tree().Prove(c, uint32(i), path)
		if err != nil {
			n.t.Fatal(err)
		}
		for p := range blob.Place(shape.N) {
			for _, axis := range []blob.Axis{blob.Row, blob.Column} {
				f, err := proven.At(p).VerifyFull(axis, s.AppendFragment(nil, axis, p), code)
				if err != nil {
					n.t.Fatal(err)
				}
				out[p] = append(out[p], store.Piece{Fragment: f, Witness: s.Tree().Witness(p, blob.Roots{}, path)})
			}
		}
	}
	return c, out
}

// heal starts the wiped node and gives the time that it needs.
func (n *network) heal() time.Duration {
	n.t.Helper()
	began := time.Now()
	n.start(wiped)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	n.healed(ctx, wiped)
	return time.Since(began)
}

// owed is the fragment bytes of the wiped node's blobs.
func (n *network) owed() (bytes int64) {
	n.t.Helper()
	v := n.view()
	d, err := dutyOf(v, n.nodes[wiped].id())
	if err != nil {
		n.t.Fatal(err)
	}
	err = v.EachBlob(func(id blob.ID, e registry.Entry) error {
		c, err := e.Manifest.Commitment()
		if err != nil {
			return err
		}
		for range d.places(id, d.shards) {
			for s := range c.Layout.Stripes {
				bytes += int64(c.Layout.FragmentBytes(s, blob.Row) + c.Layout.FragmentBytes(s, blob.Column))
			}
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return bytes
}

func (r *running) id() staking.NodeID { return staking.NodeID(r.secret.Key().Public()) }

// mute answers no question for fragments.
type mute struct{ keeper }

func (mute) Fragment(ctx context.Context, _ blob.Position) ([]byte, []byte, error) {
	<-ctx.Done()
	return nil, nil, ctx.Err()
}

func (mute) Symbols(ctx context.Context, _ blob.Position, _ []int, _ bool) (p2p.Symbols, error) {
	<-ctx.Done()
	return p2p.Symbols{}, ctx.Err()
}

func (mute) Witness(ctx context.Context, _ blob.ID, _ uint32, _ blob.Place) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A node that lost all its blobs brings them back at the pace of 10,000 a minute from
// nodes 150 ms away, each once, whatever one of the others does.
func TestBlobsFarAwayAreHealedAtTheSameTime(t *testing.T) {
	const pace = time.Minute / 10_000 // a blob
	lie := func(n *network) {
		n.turn(5, &liar{symbols: func(_ blob.Position, _ bool, s p2p.Symbols) (p2p.Symbols, error) {
			if s.Data != nil {
				s.Data = flip(bytes.Clone(s.Data))
			}
			return s, nil
		}})
	}
	hush := func(n *network) { n.nodes[6].host.ServeFragments(mute{keeper{n.nodes[6].node}}) }
	for name, c := range map[string]struct {
		blobs int
		loss  float64
		bend  func(*network)
		limit time.Duration
	}{
		"all answer":            {blobs: 1000, limit: 1000 * pace},
		"one lies":              {blobs: 1000, bend: lie, limit: 1000 * pace},
		"one is silent":         {blobs: 1000, bend: hush, limit: 1000 * pace},
		"one in 50 gets lost":   {blobs: 1000, loss: 0.02, limit: 2000 * pace}, // as much as congestion control lets through
		"one lies, one is mute": {blobs: 50, bend: func(n *network) { lie(n); hush(n) }, limit: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "all answer" {
				testlevel.Middle(t, "takes seconds of processor time")
			} else if c.blobs > 100 {
				testlevel.Whole(t, "takes seconds of processor time")
			}
			synctest.Test(t, func(t *testing.T) {
				n := far(t, 14, c.blobs, 1000, c.loss)
				n.startOthers()
				synctest.Wait() // they serve
				if c.bend != nil {
					c.bend(n)
				}
				took := n.heal()
				r := n.nodes[wiped].node.progress.get()
				t.Logf("%d blobs in %s: %d bytes healed, %d moved", c.blobs, took, r.HealedBytes, r.MovedBytes)
				if took > c.limit {
					t.Errorf("%d blobs healed in %s, want %s", c.blobs, took, c.limit)
				}
				if owed := n.owed(); r.HealedBytes != owed || n.nodes[wiped].store.Counts().Bytes != owed {
					t.Errorf("healed %d bytes and holds %d; it owes %d", r.HealedBytes, n.nodes[wiped].store.Counts().Bytes, owed)
				}
			})
		})
	}
}

// onceMore lets the wiped node lose one blob after the other, and repairs each: it hands on
// the bytes that moved and the time that it took, until each says that it is enough.
func (n *network) onceMore(t *testing.T, each func(id blob.ID, moved int64, took time.Duration) (enough bool)) {
	t.Helper()
	ctx, node, v := context.Background(), n.nodes[wiped].node, n.view()
	directory, err := client.DirectoryOf(v)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dutyOf(v, node.ID())
	if err != nil {
		t.Fatal(err)
	}
	last, tried := errors.New("the last one"), 0
	err = v.EachBlob(func(id blob.ID, e registry.Entry) error {
		c, err := e.Manifest.Commitment()
		if err != nil {
			return err
		}
		if err := node.LetGo(ctx, id, d.places(id, d.shards)); err != nil {
			return err
		}
		before, began := node.fetcher.Received(), time.Now()
		if err := node.repair(ctx, d, directory, &work{c: c}); err != nil {
			return err
		}
		tried++
		if each(id, node.fetcher.Received()-before, time.Since(began)) {
			return last
		}
		return nil
	})
	if err != nil && !errors.Is(err, last) || tried == 0 {
		t.Fatalf("%d blobs tried: %v", tried, err)
	}
}

// startOthers starts all nodes but the wiped one.
func (n *network) startOthers() {
	for i := range n.nodes {
		if i != wiped {
			n.start(i)
		}
	}
}

// Once lines stand, a small blob takes a round trip: all that its repair needs is asked
// for at the same time.
func TestASmallBlobIsHealedInThreeRoundTrips(t *testing.T) {
	for _, shards := range []int{14, 28} { // two places a node, and four
		synctest.Test(t, func(t *testing.T) {
			n := far(t, shards, 6, 1000, 0)
			n.startOthers()
			n.heal()
			n.onceMore(t, func(id blob.ID, _ int64, took time.Duration) bool {
				if took < farRoundTrip || took > 3*farRoundTrip {
					t.Errorf("%d shards: healed in %.1f round trips", shards, float64(took)/float64(farRoundTrip))
				}
				n.possesses(wiped, id)
				return false
			})
		})
	}
}

// Lines that the other nodes closed since they were last used cost no repair.
func TestRepairGoesOnAfterALongRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, repairBlobs, 1000, 0)
		n.startOthers()
		n.heal()
		time.Sleep(10 * time.Minute) // virtual: longer than any node keeps a line that rests
		n.onceMore(t, func(_ blob.ID, moved int64, took time.Duration) bool {
			if moved > 6000 {
				t.Errorf("%d bytes moved for a blob of 1 KB: some were asked for twice", moved)
			}
			if took > 3*farRoundTrip {
				t.Errorf("healed in %.1f round trips", float64(took)/float64(farRoundTrip))
			}
			return true // one blob is enough
		})
	})
}

// The runs of a large blob are on their way at the same time.
func TestALargeBlobFarAwayIsHealedInFewRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 1, 24<<20, 0)
		n.startOthers()
		took, owed := n.heal(), n.owed()
		r := n.nodes[wiped].node.progress.get()
		t.Logf("%d bytes healed in %s, %d moved", r.HealedBytes, took, r.MovedBytes)
		if runs := owed / repairRun; runs < 3 || took > 18*farRoundTrip {
			t.Errorf("%d runs were healed in %s", runs, took)
		}
		if r.HealedBytes != owed || r.MovedBytes > owed*105/100 {
			t.Errorf("healed %d bytes of %d, moved %d", r.HealedBytes, owed, r.MovedBytes)
		}
	})
}

// A node that is stopped while it repairs stops at once, and goes on later with the rest.
func TestRepairEndsWithItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 200, 1000, 0)
		n.startOthers()
		n.start(wiped)
		n.until(within(t), func() bool { return n.nodes[wiped].node.progress.get().HealedBytes > 0 })
		first := n.nodes[wiped].node
		began := time.Now()
		n.stop(wiped)
		if took := time.Since(began); took > time.Second {
			t.Errorf("a node that repairs takes %s to stop", took)
		}
		healed, owed := first.progress.get().HealedBytes, n.owed()
		if healed >= owed {
			t.Fatal("all was healed before the stop")
		}
		n.heal()
		if again := n.nodes[wiped].node.progress.get().HealedBytes; n.nodes[wiped].store.Counts().Bytes != owed || again > owed {
			t.Errorf("healed %d bytes, then %d; owes %d and holds %d", healed, again, owed, n.nodes[wiped].store.Counts().Bytes)
		}
	})
}

// A node whose store is full begins no further repair, and asks others for nothing that it
// cannot keep. With more room it goes on.
func TestAFullStoreStopsRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 300, 1000, 0)
		n.startOthers()
		owed := n.owed()
		n.room = owed / 4
		n.start(wiped)
		r := n.nodes[wiped]
		n.until(within(t), func() bool { return r.node.progress.get().HealedBytes > 0 })
		time.Sleep(lookAgain / 2) // virtual: until what was under way has ended
		moved := r.node.progress.get().MovedBytes
		time.Sleep(lookAgain / 4) // virtual: in which nothing more is asked for
		if now := r.node.progress.get(); now.MovedBytes != moved || now.BacklogBlobs == 0 {
			t.Errorf("a full node goes on: %+v, moved %d before", now, moved)
		}
		n.stop(wiped)
		n.room = 0
		n.heal()
		if held := n.nodes[wiped].store.Counts().Bytes; held != owed {
			t.Errorf("holds %d bytes of %d", held, owed)
		}
	})
}

// However many repairs are under way, what they receive is paid for before it is asked for.
func TestRepairStaysBelowItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 1, 24<<20, 0)
		n.startOthers()
		n.rate = 1 << 20
		n.start(wiped)
		node, began := n.nodes[wiped].node, time.Now()
		for owed := n.owed(); node.progress.get().HealedBytes < owed; time.Sleep(farRoundTrip) {
			took := time.Since(began)
			// A second's worth may come at once. Witnesses of what is under way come on top.
			most := float64(n.rate)*(took.Seconds()+1) + 0.02*float64(owed)
			if got := node.fetcher.Received(); float64(got) > most || took > time.Minute {
				t.Fatalf("after %s %d bytes have come, at most %.0f may", took, got, most)
			}
		}
	})
}
