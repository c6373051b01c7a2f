package ledger

import (
	"bytes"
	"context"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// forgery is a blob whose rows are those of one content and whose columns are those
// of another, and what shows it.
type forgery struct {
	manifest blob.Manifest
	evidence redstuff.Evidence
	row, col []blob.Opening // of place 0: its N cells
	columns  []blob.Opening // cell 0 of each column
}

func forge(t testing.TB, shards, size int, seed int64) forgery {
	t.Helper()
	shape, err := blob.NewShape(shards)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(int64(size))
	if err != nil || l.Stripes != 1 {
		t.Fatalf("%d stripes: %v", l.Stripes, err)
	}
	code := redstuff.For(shape)
	r := rand.New(rand.NewSource(seed))
	encode := func() (out *redstuff.Stripe) {
		content := make([]byte, size)
		r.Read(content)
		err := code.Encode(context.Background(), l, bytes.NewReader(content), 1, func(s *redstuff.Stripe) error { out = s; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	x, y := encode(), encode()
	list := make(blob.RootList, shards)
	for p := range list {
		list[p] = blob.Roots{Row: x.Tree().List()[p].Row, Column: y.Tree().List()[p].Column}
	}
	tree := code.EncodeList(list)
	f := forgery{manifest: blob.NewManifest(l, tree.Root())}
	f.evidence = redstuff.Evidence{Manifest: f.manifest, List: list, Coded: tree.CodedRoot()}
	all := make([]int, shards)
	for i := range all {
		all[i] = i
	}
	if f.row, err = code.Open(blob.Row, 0, x.Row(0), l.Seg, all); err != nil {
		t.Fatal(err)
	}
	if f.col, err = code.Open(blob.Column, 0, y.Column(0), l.Seg, all); err != nil {
		t.Fatal(err)
	}
	for p := range shards {
		cell, err := code.Open(blob.Column, blob.Place(p), y.Column(blob.Place(p)), l.Seg, []int{0})
		if err != nil {
			t.Fatal(err)
		}
		f.columns = append(f.columns, cell...)
	}
	return f
}

func (f forgery) invalidate(t testing.TB) Invalidate {
	t.Helper()
	p, err := redstuff.ProveBadCell(f.evidence, f.row[0], f.col[0])
	if err != nil {
		t.Fatal(err)
	}
	return Invalidate{Blob: f.manifest.ID(), Proof: p.Encode()}
}

func TestABadlyEncodedBlobIsBuriedForGoodWithoutARefund(t *testing.T) {
	for _, certified := range []bool{true, false} {
		w := newWorld(t, small(), 4)
		alice := w.users[1]
		f := forge(t, w.g.Params.Shards, 5000, 1)
		id := f.manifest.ID()
		w.refusedWith(ErrUnknownBlob, w.send(f.invalidate(t)))
		w.do(alice, RegisterBlob{Manifest: f.manifest, Epochs: 5, Owner: alice.Address()})
		if certified {
			w.certify(id)
		}
		price, total, before := w.entry(id).Leases[0].Price, w.entry(id).Leases[0].Escrow(), w.account(alice).Balance
		if err := w.send(f.invalidate(t)); err != nil {
			t.Fatal(err)
		}
		w.gone(id)
		if s := w.grave(id); s.Reason != registry.Invalid || s.Free != 2 || !s.Reserved {
			t.Fatalf("%+v", s)
		}
		a := w.balanced()
		burned, left := total, token.Amount(0)
		if certified { // the epochs in which the bytes have to stay are paid for
			burned, left = 3*price, 2*price+w.writePrice(f.manifest)
		}
		if a.Burned != burned || a.Buckets != left || a.Escrow != 0 || w.account(alice).Balance != before {
			t.Fatalf("certified %v: burned %s of %s, %s left: %+v", certified, a.Burned, total, left, a)
		}
		if len(w.owned(alice)) != 0 {
			t.Error("an invalid blob is in its owner's list")
		}
		hash := w.l.AppHash()
		w.refusedWith(ErrInvalidBlob, w.send(f.invalidate(t)))
		if w.l.AppHash() != hash {
			t.Error("a second proof changed something")
		}
		w.toEpoch(unit.Epoch(2+w.g.Params.Registry.TombstoneEpochs) + 1)
		if w.grave(id).Reserved {
			t.Error("the room of an invalid blob is never given back")
		}
		w.refusedWith(ErrInvalidBlob, w.try(alice, RegisterBlob{Manifest: f.manifest, Epochs: 1, Owner: alice.Address()}))
		w.balanced()
	}
}

func TestABlobThatHasEndedCanStillBeShownToBeBad(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	f := forge(t, w.g.Params.Shards, 5000, 1)
	id := f.manifest.ID()
	w.do(alice, RegisterBlob{Manifest: f.manifest, Epochs: 1, Owner: alice.Address()})
	w.certify(id)
	w.toEpoch(1)
	if err := w.send(f.invalidate(t)); err != nil {
		t.Fatal(err)
	}
	if s := w.grave(id); s.Reason != registry.Invalid || s.Free != 2 {
		t.Fatalf("%+v", s)
	}
	w.refusedWith(ErrInvalidBlob, w.try(alice, RegisterBlob{Manifest: f.manifest, Epochs: 1, Owner: alice.Address()}))
	w.balanced()
}

func TestNoForgedProofBuriesABlob(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	bad, honest := forge(t, w.g.Params.Shards, 5000, 1), w.manifest(1, 5000)
	for _, m := range []blob.Manifest{bad.manifest, honest} {
		w.do(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()})
		w.certify(m.ID())
	}
	about := bad.evidence
	about.Manifest = honest
	other, _ := redstuff.ProveBadCell(about, bad.row[0], bad.col[0])
	agree, _ := redstuff.ProveBadCell(bad.evidence, bad.row[0], bad.row[0])
	fragment, _ := redstuff.ProveBadFragment(bad.evidence, blob.Row, 0, bad.row) // its own cells: as committed
	bent := bad.invalidate(t)
	bent.Proof = bytes.Clone(bent.Proof)
	bent.Proof[len(bent.Proof)/2] ^= 1
	for name, tx := range map[string]Invalidate{
		"proof of another blob":      {Blob: honest.ID(), Proof: bad.invalidate(t).Proof},
		"roots of another blob":      {Blob: honest.ID(), Proof: other.Encode()},
		"a cell against itself":      {Blob: bad.manifest.ID(), Proof: agree.Encode()},
		"a fragment as it should be": {Blob: bad.manifest.ID(), Proof: fragment.Encode()},
		"a bit flipped":              bent,
		"nothing":                    {Blob: bad.manifest.ID()},
		"garbage":                    {Blob: bad.manifest.ID(), Proof: bytes.Repeat([]byte{0x80}, 100)},
	} {
		if err := w.send(tx); err == nil {
			t.Errorf("%s was taken", name)
		} else {
			w.refusedWith(ErrProof, err)
		}
	}
	w.refusedWith(ErrTooLarge, w.send(Invalidate{Blob: honest.ID(), Proof: make([]byte, redstuff.MaxBadEncodingBytes+1)}))
	if !w.entry(honest.ID()).Certified() || !w.entry(bad.manifest.ID()).Certified() {
		t.Error("a refused proof changed an entry")
	}
	// A proof that held for one blob is not remembered for another.
	if err := w.send(bad.invalidate(t)); err != nil {
		t.Fatal(err)
	}
	w.refusedWith(ErrProof, w.send(Invalidate{Blob: honest.ID(), Proof: bad.invalidate(t).Proof}))
}

// Only a proof may be larger than TxBytes: in both the pool and a block.
func TestOnlyAProofMayBeLarge(t *testing.T) {
	p := small()
	p.Shards = 28
	w := newWorld(t, p, 7)
	alice := w.users[1]
	f := forge(t, 28, 10*19*16384, 1)
	proof, err := redstuff.ProveBadFragment(f.evidence, blob.Row, 0, f.columns)
	if err != nil {
		t.Fatal(err)
	}
	tx := Invalidate{Blob: f.manifest.ID(), Proof: proof.Encode()}
	if size := uint64(len(Unsigned(tx))); size <= p.TxBytes || size > p.LargestTx() {
		t.Fatalf("the proof has %d bytes: it shows nothing", size)
	}
	w.do(alice, RegisterBlob{Manifest: f.manifest, Epochs: 2, Owner: alice.Address()})
	if err := w.send(tx); err != nil {
		t.Fatal(err)
	}
	raw := Sign(alice, w.l.ChainID(), 1, 10*token.WAL, UpdateNode{Name: string(make([]byte, p.TxBytes))})
	r, err := w.l.machine.Execute(Block{Height: w.l.Height() + 1, TimeMs: w.head().TimeMs, Txs: [][]byte{raw}})
	if err != nil || r.Txs[0].Code != ErrTooLarge.Code {
		t.Errorf("a large transaction of another kind: %+v, %v", r.Txs, err)
	}
}

func TestBlobsSinceNamesWhatBlocksWrote(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, m := w.users[1], w.l.Machine()
	if _, ok := m.BlobsSince(0); ok {
		t.Error("a machine that has run no block knows what it wrote")
	}
	w.advance(2)
	one, two := w.manifest(1, 10), w.manifest(2, 10)
	w.do(alice, RegisterBlob{Manifest: one, Epochs: 2, Owner: alice.Address()})
	at := m.Height()
	w.do(alice, RegisterBlob{Manifest: two, Epochs: 2, Owner: alice.Address()})
	w.certify(one.ID())
	ids, ok := m.BlobsSince(at)
	if !ok || len(ids) != 2 || ids[0] != two.ID() || ids[1] != one.ID() {
		t.Errorf("%v %v", ids, ok)
	}
	if ids, ok := m.BlobsSince(m.Height()); !ok || len(ids) != 0 {
		t.Errorf("%v %v", ids, ok)
	}
	if _, ok := m.BlobsSince(m.Height() + 1); ok {
		t.Error("knows the future")
	}
	w.advance(touchedBlocks)
	if _, ok := m.BlobsSince(at); ok {
		t.Error("remembers without bound")
	}
	if ids, ok := m.BlobsSince(m.Height() - 3); !ok || len(ids) != 0 {
		t.Errorf("%v %v", ids, ok)
	}
}

func TestTheFinderOfABadBlobGetsASmallPartOfWhatIsLost(t *testing.T) {
	for _, certified := range []bool{true, false} {
		w := newWorld(t, small(), 4)
		alice, finder := w.users[1], w.users[3]
		f := forge(t, w.g.Params.Shards, 5000, 1)
		id := f.manifest.ID()
		w.do(alice, RegisterBlob{Manifest: f.manifest, Epochs: 5, Owner: alice.Address(), Allowance: 1_000_001, HighestPrice: 1000})
		lost := w.entry(id).Leases[0].Escrow() + 1_000_001
		if certified {
			w.certify(id)
			lost = 3*w.entry(id).Leases[0].Price + 1_000_001
		}
		hers, before := w.account(alice).Balance, w.account(finder).Balance
		tx := f.invalidate(t)
		tx.Finder = finder.Address()
		if err := w.send(tx); err != nil {
			t.Fatal(err)
		}
		want := lost * 5 / 100 // rounded against the finder
		if got := w.account(finder).Balance - before; got != want || lost%20 == 0 {
			t.Errorf("certified %v: of %s the finder got %s, want %s", certified, lost, got, want)
		}
		if a := w.balanced(); a.Burned != lost-want || a.Allowances != 0 || w.account(alice).Balance != hers {
			t.Errorf("certified %v: burned %s of %s: %+v", certified, a.Burned, lost, a)
		}
	}
}

// Another finder on a proof does not make a node check it again.
func TestAProofIsCheckedOnceWhicheverNodeFindsIt(t *testing.T) {
	w := newWorld(t, small(), 4)
	f := forge(t, w.g.Params.Shards, 5000, 1)
	w.do(w.users[1], RegisterBlob{Manifest: f.manifest, Epochs: 2, Owner: w.users[1].Address()})
	tx := f.invalidate(t)
	if err := w.l.machine.Check(Unsigned(tx)); err != nil {
		t.Fatal(err)
	}
	if !w.l.machine.verified.has(TxHash(Unsigned(tx))) {
		t.Fatal("a proof that holds is not remembered")
	}
	before := len(w.l.machine.verified.now)
	tx.Finder = w.users[2].Address()
	// One about the same blob waits already.
	w.refusedWith(ErrKnown, w.l.machine.Check(Unsigned(tx)))
	if len(w.l.machine.verified.now) != before {
		t.Error("the same proof was checked again for another finder")
	}
}

// The proof comes when the lease has ended and no sweep has noted it: the blob is
// buried as any, and for good.
func TestABadBlobThatHasEndedUnnoticedIsBuriedForGood(t *testing.T) {
	p := small()
	p.SweepBlobs = 1
	w := newWorld(t, p, 4)
	alice := w.users[1]
	f := forge(t, p.Shards, 5000, 1)
	id := f.manifest.ID()
	txs := [][]byte{w.sign(alice, RegisterBlob{Manifest: f.manifest, Epochs: 1, Owner: alice.Address()})}
	for i := 0; len(txs) < 6; i++ { // that are swept before
		if m := w.manifest(i, 1000); bytes.Compare(id[:], blobID(m)) > 0 {
			w.nonces[alice.Address()]++
			txs = append(txs, w.sign(alice, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address()}))
		}
	}
	w.block(txs)
	w.certify(id)
	units := w.entry(id).Units
	w.toEpoch(1)
	if !w.entry(id).Certified() {
		t.Fatal("swept already: the test shows nothing")
	}
	if err := w.send(f.invalidate(t)); err != nil {
		t.Fatal(err)
	}
	if g := w.grave(id); g.Reason != registry.Invalid || g.Units != units || g.Free != 2 || !g.Reserved {
		t.Fatalf("%+v", g)
	}
	if a := w.balanced(); a.Burned != 0 {
		t.Fatalf("an ended lease was burned: %+v", a)
	}
}

func blobID(m blob.Manifest) []byte {
	id := m.ID()
	return id[:]
}
