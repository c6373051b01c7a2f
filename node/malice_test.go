package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// crooked is a one-stripe blob as a malicious client commits to it.
type crooked struct {
	manifest blob.Manifest
	list     blob.RootList
	path     []blob.Hash
	row, col func(blob.Place) []byte
	places   []blob.Place // to offer instead of the node's own
	stripes  int          // to send; the rest never comes
}

func encoded(t testing.TB, shape blob.Shape, content []byte) *redstuff.Stripe {
	t.Helper()
	l, err := shape.Layout(int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var out *redstuff.Stripe
	if err := redstuff.For(shape).Encode(context.Background(), l, bytes.NewReader(content), 1, func(s *redstuff.Stripe) error { out = s; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// twoFaced has the rows of one content and the columns of another: every fragment
// is a word of the code and as committed, so that no node sees it at upload.
func twoFaced(t testing.TB, shape blob.Shape, size int, seed int64) crooked {
	t.Helper()
	x, y := encoded(t, shape, random(size, seed)), encoded(t, shape, random(size, seed+1))
	list := make(blob.RootList, shape.N)
	for p := range list {
		list[p] = blob.Roots{Row: x.Tree().List()[p].Row, Column: y.Tree().List()[p].Column}
	}
	return commit(t, shape, size, list, x.Row, y.Column)
}

func commit(t testing.TB, shape blob.Shape, size int, list blob.RootList, row, col func(blob.Place) []byte) crooked {
	t.Helper()
	l, err := shape.Layout(int64(size))
	if err != nil {
		t.Fatal(err)
	}
	return crooked{manifest: blob.NewManifest(l, redstuff.For(shape).EncodeList(list).Root()), list: list, row: row, col: col, stripes: 1}
}

// upload sends a crooked blob to node i, as a client that follows the protocol.
func (n *network) upload(host *p2p.Host, d *fetch.Directory, i int, b crooked) (c p2p.Confirmation, err error) {
	n.t.Helper()
	id := b.manifest.ID()
	link, err := host.Fragments(within(n.t), n.peer(i), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { link.Close(errors.New("done")) }()
	places := b.places
	if places == nil {
		places = n.placesOf(d, id, i)
	}
	out, err := link.Offer(b.manifest, places)
	if err != nil {
		return c, err
	}
	for s := range uint32(b.stripes) {
		if !out.Wants(s) {
			continue
		}
		if err := out.Send(s, b.list, b.path, b.row, b.col); err != nil {
			return c, err
		}
	}
	return out.Finish()
}

func (n *network) placesOf(d *fetch.Directory, id blob.ID, i int) (out []blob.Place) {
	for s, m := range d.Holder {
		if d.Members[m].Peer == n.peer(i) {
			out = append(out, id.PlaceOf(blob.Shard(s), d.Shape.N))
		}
	}
	return out
}

func (n *network) directory() *fetch.Directory {
	n.t.Helper()
	v, err := n.ledger.View(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	d, err := client.DirectoryOf(v)
	if err != nil {
		n.t.Fatal(err)
	}
	return d
}

func (n *network) stranger(seed byte) *p2p.Host {
	n.t.Helper()
	host, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{seed, 99}).Ed25519(), Bootstrap: n.genesis.Nodes[0].Addresses, Wire: n.air.Place().Wire,
		Hello: p2p.Hello{Chain: string(n.ledger.ChainID()), Version: "test"}, Log: quiet()})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { host.Close() })
	for i := range n.nodes {
		if err := host.Connect(within(n.t), n.peer(i), n.genesis.Nodes[i].Addresses); err != nil {
			n.t.Fatal(err)
		}
	}
	return host
}

func (n *network) pay(ctx context.Context, m blob.Manifest, epochs uint64) {
	n.t.Helper()
	body := ledger.RegisterBlob{Manifest: m, Epochs: epochs, Owner: n.wallet.Address()}
	if _, err := n.client().Send(ctx, n.wallet, body); err != nil {
		n.t.Fatal(err)
	}
}

// A blob whose rows and columns are of two contents passes every check at upload and
// is certified. The first node that repairs meets the contradiction and shows it to
// the ledger; then the blob is gone for all, and its bytes go when the ledger says so.
func TestABadlyEncodedBlobIsProvenByTheNodeThatRepairsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, 7)
		ctx := within(t)
		shape := n.directory().Shape
		host, d := n.stranger(1), n.directory()
		bad := twoFaced(t, shape, 20_000, 5)
		id := bad.manifest.ID()
		n.pay(ctx, bad.manifest, 3)
		sigs := map[int]token.BLSSignature{}
		for i := range 6 { // the last one has to repair
			c, err := n.upload(host, d, i, bad)
			if err != nil {
				t.Fatalf("node %d sees at upload what it should not be able to: %v", i, err)
			}
			for m, member := range d.Members {
				if member.Peer == n.peer(i) {
					sigs[m] = token.BLSSignature(c.Signature)
				}
			}
		}
		certificate, err := registry.NewCertificate(0, len(d.Members), sigs)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := n.ledger.Submit(ctx, ledger.Unsigned(ledger.Certify{Blob: id, Certificate: certificate})); err != nil || r.Err() != nil {
			t.Fatal(err, r.Err())
		}
		c := n.client()
		n.until(ctx, func() bool {
			_, _, _, err := c.Find(ctx, id)
			return errors.Is(err, client.ErrInvalid)
		})
		if err := c.ReadBlob(ctx, id, new(bytes.Buffer)); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("got %v", err)
		}
		n.healed(ctx, 6)
		for i := range n.nodes {
			for j := range n.nodes {
				if n.nodes[i].host.Avoided(n.peer(j)) {
					t.Errorf("node %d blames node %d for what the client did", i, j)
				}
			}
		}
		if !n.holds(0, id) {
			t.Error("the bytes went before the ledger said so")
		}
		n.toEpoch(2)
		n.collect(ctx)
		for i := range n.nodes {
			if n.holds(i, id) {
				t.Errorf("node %d keeps an invalid blob for ever", i)
			}
		}
		_, err = c.Send(ctx, n.wallet, ledger.RegisterBlob{Manifest: bad.manifest, Epochs: 1, Owner: n.wallet.Address()})
		if !errors.Is(err, ledger.ErrInvalidBlob) {
			t.Errorf("registered again: %v", err)
		}
		v, _ := n.ledger.View(ctx)
		a, err := v.TrialBalance()
		if err != nil || !a.Balanced() || a.Burned == 0 {
			t.Errorf("%+v, %v", a, err)
		}
		// The finder's fee is where the node's earnings go, and what it is of is burned.
		finder, err := v.Account(payout(n.nodes[6].secret))
		if lost := a.Burned + finder.Balance; err != nil || finder.Balance == 0 || finder.Balance != n.genesis.Params.Registry.FindersFee(lost) {
			t.Errorf("of %s lost the finder got %s, %v", lost, finder.Balance, err)
		}
	})
}

// until waits for what other goroutines bring about.
func (n *network) until(ctx context.Context, done func() bool) {
	n.t.Helper()
	if !comesAbout(ctx, done) {
		n.t.Fatal("it does not come about")
	}
}

func comesAbout(ctx context.Context, done func() bool) bool {
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

func (n *network) holds(i int, id blob.ID) bool {
	n.t.Helper()
	_, held, err := n.nodes[i].store.Manifest(id)
	if err != nil {
		n.t.Fatal(err)
	}
	return held
}

func (n *network) epoch() unit.Epoch {
	n.t.Helper()
	v, err := n.ledger.View(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	h, err := v.Head()
	if err != nil {
		n.t.Fatal(err)
	}
	return h.Epoch
}

func (n *network) toEpoch(e unit.Epoch) {
	n.t.Helper()
	for n.epoch() < e {
		if err := n.ledger.Advance(1); err != nil {
			n.t.Fatal(err)
		}
	}
}

// collect makes every running node look for garbage now.
func (n *network) collect(ctx context.Context) {
	n.t.Helper()
	for i, r := range n.nodes {
		if r.stop == nil {
			continue
		}
		if err := r.node.collectOnce(ctx, time.Now()); err != nil {
			n.t.Fatalf("node %d: %v", i, err)
		}
	}
}

// No node signs for fragments for which it could not answer every question.
func TestNoNodeSignsForWhatItCouldNotAnswerFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		shape := n.directory().Shape
		x, y := encoded(t, shape, random(5000, 1)), encoded(t, shape, random(5000, 2))
		seg := x.Seg()
		falseParity := make(blob.RootList, shape.N) // the stored symbols are right, their parity is another's
		for p := range falseParity {
			row, col := blob.Leaves(x.Row(blob.Place(p)), seg), blob.Leaves(x.Column(blob.Place(p)), seg)
			falseParity[p] = blob.Roots{
				Row:    blob.Node(blob.Root(row), y.Parity(blob.Place(p)).Row),
				Column: blob.Node(blob.Root(col), y.Parity(blob.Place(p)).Column),
			}
		}
		honest := commit(t, shape, 5000, x.Tree().List(), x.Row, x.Column)
		shares := make([][]byte, shape.N)
		for p := range shares {
			shares[p] = bytes.Clone(x.Tree().Share(blob.Place(p)))
		}
		shares[1] = flip(shares[1])
		contradicted := honest
		contradicted.manifest.Root = blob.NewStripeTree(x.Tree().List(), shares).Root()
		for name, b := range map[string]crooked{
			"false parity":               commit(t, shape, 5000, falseParity, x.Row, x.Column),
			"shares against the list":    contradicted,
			"rows of another blob":       commit(t, shape, 5000, x.Tree().List(), y.Row, x.Column),
			"columns of another blob":    commit(t, shape, 5000, x.Tree().List(), x.Row, y.Column),
			"a list of another blob":     {manifest: honest.manifest, list: y.Tree().List(), row: y.Row, col: y.Column, stripes: 1},
			"a path where there is none": {manifest: honest.manifest, list: honest.list, path: []blob.Hash{{1}}, row: x.Row, col: x.Column, stripes: 1},
		} {
			n.pay(ctx, b.manifest, 1+uint64(len(name))) // each its own lease, the honest one's too
			host := n.stranger(byte(len(name)))
			for i := range n.nodes {
				if _, err := n.upload(host, n.directory(), i, b); !p2p.IsRefusal(err, p2p.CodeBadRequest) {
					t.Errorf("%s: node %d: %v", name, i, err)
				}
			}
			host.Close()
			if c := b.manifest; c != honest.manifest {
				continue
			}
			if _, err := n.client().Send(ctx, n.wallet, ledger.Delete{Blob: honest.manifest.ID()}); err != nil {
				t.Fatal(err)
			}
		}
		host := n.stranger(200)
		// All of the node's places, and no others.
		mine := n.placesOf(n.directory(), honest.manifest.ID(), 0)[0]
		honest.places = []blob.Place{(mine + 1) % blob.Place(shape.N)}
		if _, err := n.upload(host, n.directory(), 0, honest); !p2p.IsRefusal(err, p2p.CodeNotDuty) {
			t.Errorf("places of others: %v", err)
		}
		// Another network's shape.
		other, err := blob.NewShape(7)
		if err != nil {
			t.Fatal(err)
		}
		z := encoded(t, other, random(5000, 1))
		foreign := commit(t, other, 5000, z.Tree().List(), z.Row, z.Column)
		foreign.places = []blob.Place{0}
		if _, err := n.upload(host, n.directory(), 0, foreign); !p2p.IsRefusal(err, p2p.CodeBadRequest) {
			t.Errorf("a blob of 7 shards: %v", err)
		}
	})
}

// Offers of unpaid blobs fill a bounded corner, and leave room for paid ones.
func TestUnpaidOffersLeaveRoomForPaidBlobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		n.staged = 64 << 10
		for i := range n.nodes {
			n.stop(i)
			n.start(i)
		}
		shape := n.directory().Shape
		host, d := n.stranger(7), n.directory()
		for i := range 100 {
			x := encoded(t, shape, random(3000, int64(i)))
			b := commit(t, shape, 3000, x.Tree().List(), x.Row, x.Column)
			n.offerAndLeave(host, d, 0, b)
		}
		u := n.nodes[0].store.Counts()
		if u.StagedBytes > n.staged || u.Staged == 0 {
			t.Errorf("%d blobs, %d bytes are staged, at most %d", u.Staged, u.StagedBytes, n.staged)
		}
		// A blob larger than the corner is stored: it is paid for.
		data := random(300_000, 1)
		stored := n.store(ctx, n.client(), data)
		n.read(ctx, n.client(), stored.ID, data)
		n.healed(ctx, 0)
		n.possesses(0, stored.ID)
		if err := n.nodes[0].node.collectOnce(ctx, time.Now().Add(stagedFor+time.Minute)); err != nil {
			t.Fatal(err)
		}
		if u := n.nodes[0].store.Counts(); u.Staged != 0 || u.StagedBytes != 0 {
			t.Errorf("%d staged blobs never expire", u.Staged)
		}
		n.possesses(0, stored.ID)
	})
}

// offerAndLeave sends all of a blob and does not wait for the confirmation.
func (n *network) offerAndLeave(host *p2p.Host, d *fetch.Directory, i int, b crooked) {
	n.t.Helper()
	link, err := host.Fragments(within(n.t), n.peer(i), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := link.Offer(b.manifest, n.placesOf(d, b.manifest.ID(), i))
	if err != nil {
		n.t.Fatal(fmt.Errorf("an offer is refused: %w", err))
	}
	if err := out.Send(0, b.list, b.path, b.row, b.col); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, link.Interrupt)
	go func() { out.Finish() }()
	n.until(within(n.t), func() bool { // it is written: now the client is gone
		held, _ := n.nodes[i].store.Has(blob.Position{Blob: b.manifest.ID(), Place: n.placesOf(d, b.manifest.ID(), i)[0]})
		return held
	})
	cancel()
	stop()
	link.Close(errors.New("gone"))
	n.until(within(n.t), func() bool { return !n.nodes[i].node.incoming.any(b.manifest.ID()) })
}

// A client that offers a huge blob costs the node no list of its fragments.
func TestAnOfferOfAHugeBlobIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		host, d := n.stranger(9), n.directory()
		l, err := d.Shape.Layout(100 << 30)
		if err != nil {
			t.Fatal(err)
		}
		m := blob.NewManifest(l, blob.Hash{1})
		link, err := host.Fragments(within(t), n.peer(0), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { link.Close(errors.New("done")) }()
		out, err := link.Offer(m, n.placesOf(d, m.ID(), 0))
		if err != nil {
			t.Fatal(err)
		}
		if !out.Wants(0) || !out.Wants(uint32(l.Stripes-1)) {
			t.Error("a blob nobody has is not wanted")
		}
		if u := n.nodes[0].store.Counts(); u.StagedBytes > 1000 {
			t.Errorf("an offer alone takes %d bytes", u.StagedBytes)
		}
	})
}
