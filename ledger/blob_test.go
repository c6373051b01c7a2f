package ledger

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func (w *world) entry(id blob.ID) registry.Entry {
	w.t.Helper()
	e, there, err := w.view().Blob(id)
	if err != nil || !there {
		w.t.Fatalf("blob %s: %v %v", id, there, err)
	}
	return e
}

func (w *world) grave(id blob.ID) registry.Tombstone {
	w.t.Helper()
	s, there, err := w.view().Tombstone(id)
	if err != nil || !there {
		w.t.Fatalf("tombstone of %s: %v %v", id, there, err)
	}
	return s
}

// writePrice is what is paid once for a blob, at the price of the genesis.
func (w *world) writePrice(m blob.Manifest) token.Amount {
	w.t.Helper()
	l, err := m.Layout()
	a, err2 := w.g.Params.Registry.WritePriceOf(ok(w, l, err).StoredKiB())
	return ok(w, a, err2)
}

func (w *world) gone(id blob.ID) {
	w.t.Helper()
	if _, there, err := w.view().Blob(id); err != nil || there {
		w.t.Fatalf("blob %s is still there: %v", id, err)
	}
}

func (w *world) owned(k token.Key) (ids []blob.ID) {
	w.t.Helper()
	err := w.view().EachOwned(k.Address(), func(id blob.ID) error { ids = append(ids, id); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func (w *world) refusedWith(want error, got error) {
	w.t.Helper()
	if !errors.Is(got, want) {
		w.t.Fatalf("got %v, want %v", got, want)
	}
}

func TestABlobIsPaidForCertifiedAndEnds(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	id := m.ID()
	before := w.account(alice).Balance
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()})
	cost := w.entry(id).Leases[0].Escrow()
	layout, err := m.Layout()
	if p := w.g.Params.Registry; err != nil || p.WritePrice == 0 || cost != (2*p.Price+p.WritePrice)*token.Amount(layout.StoredKiB()) {
		t.Fatalf("cost %s for %d KiB: %v", cost, layout.StoredKiB(), err)
	}
	if a := w.balanced(); a.Escrow != cost || a.Buckets != 0 {
		t.Fatalf("%+v", a)
	}
	w.certify(id)
	if a := w.balanced(); a.Escrow != 0 || a.Buckets != cost {
		t.Fatalf("%+v", a)
	}
	if got := w.account(alice).Balance; got != before-cost-fee {
		t.Fatalf("balance %s, want %s", got, before-cost-fee)
	}
	w.refusedWith(ErrCertified, w.send(Certify{Blob: id, Certificate: w.certificate(id, 0, all)}))
	w.refusedWith(ErrLeased, w.try(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()}))
	w.toEpoch(1)
	if !w.entry(id).Live(1) || len(w.owned(alice)) != 1 {
		t.Fatal("the blob ended early")
	}
	w.toEpoch(2)
	w.gone(id)
	if s := w.grave(id); s.Reason != registry.Expired || s.Free != 3 || s.MayGo(2) || !s.MayGo(3) || !s.Reserved {
		t.Fatalf("%+v", s)
	}
	if len(w.owned(alice)) != 0 {
		t.Fatal("an ended blob is in its owner's list")
	}
	w.toEpoch(3)
	if s := w.grave(id); s.Reserved {
		t.Fatal("the room is not given back")
	}
	w.toEpoch(unit.Epoch(3 + w.g.Params.Registry.TombstoneEpochs))
	if _, there, err := w.view().Tombstone(id); err != nil || there {
		t.Fatalf("the tombstone stands for ever: %v", err)
	}
	if a := w.balanced(); a.Buckets != 0 {
		t.Fatalf("%+v", a)
	}
}

// What was never certified comes back but for the epochs in which its room was held.
func TestARegistrationThatIsNotCertifiedLapsesAndIsRefunded(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	id := m.ID()
	before := w.account(alice).Balance
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 5, Owner: alice.Address()})
	lease := w.entry(id).Leases[0]
	w.toMiddle(1)
	w.gone(id)
	if s := w.grave(id); s.Reason != registry.Lapsed || s.Free != 3 {
		t.Fatalf("%+v", s)
	}
	back := 2*lease.Price + lease.Write // its room was held in epochs 0 to 2
	want := before - fee - lease.Escrow() + back - w.g.Params.Registry.Fee(back)
	if got := w.account(alice).Balance; got != want {
		t.Fatalf("balance %s, want %s", got, want)
	}
	w.refusedWith(ErrUnknownBlob, w.send(Certify{Blob: id, Certificate: w.certificate(id, 1, all)}))
	w.balanced()
	// It can be asked for again; its bytes are then not garbage any more.
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()})
	w.certify(id)
	if _, buried, err := w.view().Tombstone(id); err != nil || buried {
		t.Fatalf("a live blob has a tombstone: %v", err)
	}
	u, err := w.view().Usage()
	if err != nil || u.ReservedKiB != w.entry(id).Units {
		t.Fatalf("%+v %v", u, err)
	}
}

func TestACertificateCountsInItsEpochAndHalfTheNext(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	var ids []blob.ID
	for i := range 3 {
		m := w.manifest(i, 1000)
		ids = append(ids, m.ID())
		w.do(alice, RegisterBlob{Manifest: m, Epochs: 4, Owner: alice.Address()})
	}
	late := []registry.Certificate{w.certificate(ids[0], 0, all), w.certificate(ids[1], 0, all)}
	w.toEpoch(1)
	fresh := w.certificate(ids[2], 1, all)
	if err := w.send(Certify{Blob: ids[0], Certificate: late[0]}); err != nil {
		t.Fatal(err)
	}
	l := w.entry(ids[0]).Leases[0]
	if a := w.balanced(); a.Buckets != l.Total()+w.writePrice(w.manifest(0, 1000)) || l.Write != 0 {
		t.Fatalf("the first epoch's pay is lost: %+v", a)
	}
	w.do(alice, RegisterBlob{Manifest: w.manifest(3, 1000), Epochs: 4, Owner: alice.Address()})
	other := w.manifest(3, 1000).ID()
	stale := w.certificate(other, 0, all)
	future := fresh
	future.Epoch = 2
	w.refusedWith(ErrCertificate, w.send(Certify{Blob: ids[2], Certificate: future}))
	w.toMiddle(1)
	w.refusedWith(ErrCertificate, w.send(Certify{Blob: other, Certificate: stale}))
	w.refusedWith(ErrUnknownBlob, w.send(Certify{Blob: ids[1], Certificate: late[1]}))
}

func TestOnlyMoreThanTwoThirdsCertify(t *testing.T) {
	w := newWorld(t, small(), 5) // 10 shards, two each
	alice := w.users[1]
	m := w.manifest(1, 1000)
	id := m.ID()
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()})
	first := func(n int) func(int, staking.NodeID) bool { return func(i int, _ staking.NodeID) bool { return i < n } }
	send := func(c registry.Certificate) error { return w.send(Certify{Blob: id, Certificate: c}) }
	w.refusedWith(ErrCertificate, send(w.certificate(id, 0, first(3)))) // 6 of 10
	for name, forge := range map[string]func(*registry.Certificate){
		"one more in the bitmap":   func(c *registry.Certificate) { c.Bitmap[0] |= 1 << 4 },
		"another in the bitmap":    func(c *registry.Certificate) { c.Bitmap[0] = 1<<0 | 1<<1 | 1<<2 | 1<<4 },
		"bits beyond the nodes":    func(c *registry.Certificate) { c.Bitmap[0] |= 1 << 5 },
		"long bitmap":              func(c *registry.Certificate) { c.Bitmap = append(c.Bitmap, 0) },
		"no bitmap":                func(c *registry.Certificate) { c.Bitmap = nil },
		"another aggregate":        func(c *registry.Certificate) { c.Aggregate = w.certificate(blob.ID{1}, 0, all).Aggregate },
		"rubbish for an aggregate": func(c *registry.Certificate) { c.Aggregate[5] ^= 1 },
		"nothing for an aggregate": func(c *registry.Certificate) { c.Aggregate = token.BLSSignature{} },
	} {
		c := w.certificate(id, 0, first(4))
		forge(&c)
		if err := send(c); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.entry(id).Certified() {
		t.Fatal("certified")
	}
	if err := send(w.certificate(id, 0, first(4))); err != nil { // 8 of 10
		t.Fatal(err)
	}
	w.refusedWith(ErrUnknownBlob, w.send(Certify{Blob: blob.ID{9}, Certificate: w.certificate(blob.ID{9}, 0, all)}))
}

func TestABlobLivesUntilItsLastOwnersLeaseEnds(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	id := m.ID()
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 5, Owner: alice.Address()})
	w.certify(id)
	w.do(bob, RegisterBlob{Manifest: m, Epochs: 3, Owner: bob.Address()})
	price := w.entry(id).Leases[0].Price
	w.toEpoch(1)
	before := w.account(alice).Balance
	w.do(alice, Delete{Blob: id})
	// Deleted in epoch 1, free from 3 on: 3 and 4 come back, less the fee.
	back := 2 * price
	if got, want := w.account(alice).Balance, before-fee+back-w.g.Params.Registry.Fee(back); got != want {
		t.Fatalf("balance %s, want %s", got, want)
	}
	w.balanced()
	if e := w.entry(id); !e.Live(1) || e.End() != 3 || len(e.Leases) != 1 || len(w.owned(alice)) != 0 || len(w.owned(bob)) != 1 {
		t.Fatalf("%+v", e)
	}
	w.refusedWith(ErrNotOwner, w.try(alice, Delete{Blob: id}))
	w.refusedWith(ErrNotOwner, w.try(alice, Extend{Blob: id, Epochs: 1}))
	w.do(bob, Extend{Blob: id, Epochs: 2})
	if e := w.entry(id); e.End() != 5 || len(e.Leases) != 1 {
		t.Fatalf("%+v", e)
	}
	w.toEpoch(3)
	if !w.entry(id).Live(3) {
		t.Fatal("the extension does not hold")
	}
	w.toEpoch(5)
	w.gone(id)
	w.balanced()
}

func TestAPermanentLeaseStands(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 5, Owner: alice.Address(), Permanent: true})
	w.certify(m.ID())
	w.refusedWith(ErrPermanent, w.try(alice, Delete{Blob: m.ID()}))
	w.refusedWith(ErrNotOwner, w.try(bob, Delete{Blob: m.ID()}))
	w.do(alice, Extend{Blob: m.ID(), Epochs: 1})
	if e := w.entry(m.ID()); len(e.Leases) != 1 || !e.Leases[0].Permanent || e.Leases[0].End != 6 {
		t.Fatalf("%+v", e)
	}
}

// A stranger may pay for an owner, and is never in the way of what the owner pays: not of
// a registration, nor with terms that the owner did not choose.
func TestAStrangersLeaseBindsTheStrangerAlone(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	w.do(bob, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address(), Permanent: true, Allowance: token.WAL, HighestPrice: 1})
	w.refusedWith(ErrLeased, w.try(bob, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()}))
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()})
	w.refusedWith(ErrLeased, w.try(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()}))
	w.certify(m.ID())
	w.do(alice, Extend{Blob: m.ID(), Epochs: 2})
	e := w.entry(m.ID())
	if end, ok := e.PaidBy(alice.Address(), alice.Address(), 0); !ok || end != 5 || e.Leases[1].Permanent {
		t.Fatalf("%+v", e.Leases)
	}
	had := w.account(alice).Balance
	w.do(alice, Delete{Blob: m.ID()})
	if got := w.account(alice).Balance; got <= had-fee {
		t.Fatalf("nothing came back: %s of %s", got, had)
	}
	if e := w.entry(m.ID()); len(e.Leases) != 1 || e.Leases[0].Payer != bob.Address() {
		t.Fatalf("%+v", e.Leases)
	}
	w.balanced()

	gift := w.manifest(2, 1000) // and only a stranger's lease is there
	w.do(bob, RegisterBlob{Manifest: gift, Epochs: 1, Owner: alice.Address(), Permanent: true})
	w.certify(gift.ID())
	w.do(alice, Extend{Blob: gift.ID(), Epochs: 2})
	w.do(alice, Delete{Blob: gift.ID()})
	if e := w.entry(gift.ID()); len(e.Leases) != 1 {
		t.Fatalf("what the owner paid could not be deleted: %+v", e.Leases)
	}
}

// Cheap leases of strangers may fill a blob's list; an owner that is on it can extend.
func TestAnOwnerCanExtendHoweverManyLeasesThereAre(t *testing.T) {
	w := newWorldOf(t, small(), 4, func(g *Genesis) { g.Params.Registry.MaxLeases = 3 })
	alice := w.users[1]
	m := w.manifest(1, 1000)
	for _, k := range w.users[1:] {
		w.do(k, RegisterBlob{Manifest: m, Epochs: 1, Owner: k.Address()})
	}
	w.certify(m.ID())
	w.refusedWith(ErrFullEntry, w.try(w.users[0], RegisterBlob{Manifest: m, Epochs: 1, Owner: w.users[0].Address()}))
	for i := range uint64(ownSegments) {
		w.setPrice(token.Amount(2000 + i))
		err := w.try(alice, Extend{Blob: m.ID(), Epochs: 1})
		if i+1 < ownSegments && err != nil {
			t.Fatal(err)
		}
		if i+1 == ownSegments {
			w.refusedWith(ErrFullEntry, err)
		}
	}
}

// Room that is reserved and given up at once costs what the time costs for which it
// stays reserved.
func TestRoomThatIsHeldIsPaid(t *testing.T) {
	w := newWorld(t, small(), 4)
	mallory := w.users[2]
	m := w.manifest(1, 40_000_000)
	before := w.account(mallory).Balance
	w.inBlock(Sign(mallory, w.l.ChainID(), 0, fee, RegisterBlob{Manifest: m, Epochs: 1, Owner: mallory.Address()}),
		Sign(mallory, w.l.ChainID(), 1, fee, Delete{Blob: m.ID()}))
	l, err := m.Layout()
	if err != nil {
		t.Fatal(err)
	}
	price, err := w.g.Params.Registry.PriceOf(l.StoredKiB())
	if err != nil {
		t.Fatal(err)
	}
	if paid := before - w.account(mallory).Balance - 2*fee; paid < price {
		t.Fatalf("an epoch of its room costs %s, and it was had for %s", price, paid)
	}
	w.balanced()
}

func TestADeletedBlobIsBuriedAndItsPayerRefunded(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	id := m.ID()
	w.do(bob, RegisterBlob{Manifest: m, Epochs: 4, Owner: alice.Address()})
	w.certify(id)
	lease := w.entry(id).Leases[0]
	before := w.account(bob).Balance
	w.do(alice, Delete{Blob: id})
	back := 2 * lease.Price // free from epoch 2 on
	if got, want := w.account(bob).Balance, before+back-w.g.Params.Registry.Fee(back); got != want {
		t.Fatalf("balance %s, want %s", got, want)
	}
	w.gone(id)
	if s := w.grave(id); s.Reason != registry.Deleted || s.Free != 2 {
		t.Fatalf("%+v", s)
	}
	if a := w.balanced(); a.Buckets != 2*lease.Price+w.writePrice(m) {
		t.Fatalf("%+v", a)
	}
}

func TestOnlyThisNetworksManifestsAreTaken(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	shape, err := blob.NewShape(28)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(1000)
	if err != nil {
		t.Fatal(err)
	}
	other := blob.NewManifest(l, blob.Hash{1})
	bent := w.manifest(1, 1000)
	bent.Seg++
	for _, m := range []blob.Manifest{other, bent} {
		w.refusedWith(ErrManifest, w.try(alice, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address()}))
	}
	m := w.manifest(1, 1000)
	w.refusedWith(ErrEpochs, w.try(alice, RegisterBlob{Manifest: m, Epochs: 0, Owner: alice.Address()}))
	w.refusedWith(ErrEpochs, w.try(alice, RegisterBlob{Manifest: m, Epochs: w.g.Params.Registry.MaxEpochs + 1, Owner: alice.Address()}))
	w.refusedWith(ErrMalformed, w.try(alice, RegisterBlob{Manifest: m, Epochs: 1}))
	w.refusedWith(ErrFunds, w.try(alice, RegisterBlob{Manifest: w.manifest(1, 1<<40), Epochs: 100, Owner: alice.Address()}))
}

func TestARegistrationBeyondTheCapacityIsRefused(t *testing.T) {
	p := small()
	w := newWorld(t, p, 5) // 2 shards each, f = 3
	op, alice := w.users[0], w.users[1]
	m := w.manifest(1, 1_000_000)
	layout, err := m.Layout()
	if err != nil {
		t.Fatal(err)
	}
	perShard := (layout.StoredKiB() + 9) / 10
	c := w.committee()
	room := func(i int, kib unit.KiB) {
		w.do(op, UpdateNode{Node: c.Nodes[i].ID, CapacityKiB: kib})
	}
	// Two nodes without room: 4 shards outgrow their holders, one more than f. Less
	// acts with the next turn.
	room(0, 1)
	room(1, 1)
	w.toEpoch(1)
	c = w.committee()
	w.refusedWith(ErrCapacity, w.try(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()}))
	// Room for one of the second node's shards: 3 outgrow theirs. More acts at once.
	w.do(op, UpdateNode{Node: w.g.Nodes[1].ID, CapacityKiB: perShard})
	w.do(op, UpdateNode{Node: w.g.Nodes[0].ID, CapacityKiB: perShard})
	w.do(op, UpdateNode{Node: w.g.Nodes[2].ID, CapacityKiB: perShard})
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()})
	w.refusedWith(ErrCapacity, w.try(alice, RegisterBlob{Manifest: w.manifest(2, 1<<40), Epochs: 1, Owner: alice.Address()}))
}
