package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// setPrice changes the price of storage for the blocks to come, as a vote does.
func (w *world) setPrice(price token.Amount) {
	w.t.Helper()
	m := w.l.machine
	x, err := m.exec()
	ok(w, x, err)
	x.begin(Block{Height: x.head.Height + 1, TimeMs: x.head.TimeMs})
	r := x.rules()
	r.Params.Registry.Price = price
	x.putRules(r)
	u, err := m.state.Prepare(x.head.Height, x.o.Changes())
	ok(w, u, err)
	if err := m.state.Commit(u); err != nil {
		w.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = r
}

// units is what a blob weighs.
func (w *world) units(m blob.Manifest) unit.KiB {
	w.t.Helper()
	l, err := m.Layout()
	return ok(w, l, err).StoredKiB()
}

// kept registers a blob for its owner, with a renewal, and certifies it.
func (w *world) kept(owner token.Key, m blob.Manifest, epochs uint64, allowance, highest token.Amount) blob.ID {
	w.t.Helper()
	w.do(owner, RegisterBlob{Manifest: m, Epochs: epochs, Owner: owner.Address(), Allowance: allowance, HighestPrice: highest})
	if !w.entry(m.ID()).Certified() {
		w.certify(m.ID())
	}
	return m.ID()
}

// block runs a block that must do all its transactions.
func (w *world) block(txs [][]byte) {
	w.t.Helper()
	m := w.l.machine
	r, err := m.Execute(Block{Height: m.Height() + 1, TimeMs: w.head().TimeMs, Txs: txs})
	if err == nil {
		err = m.Commit()
	}
	for _, tx := range ok(w, r, err).Txs {
		if tx.Code != 0 {
			w.t.Fatal(tx.Log)
		}
	}
}

func TestALeaseRenewsItselfUntilItsAllowanceRunsDry(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	start := w.account(alice).Balance
	price := w.g.Params.Registry.Price * token.Amount(w.units(m))
	id := w.kept(alice, m, 2, 2*price+7, 5000)
	if a := w.balanced(); a.Allowances != 2*price+7 || w.account(alice).Balance != start-fee-4*price-7-w.writePrice(m) {
		t.Fatalf("%+v", a)
	}
	w.toMiddle(1)
	if e := w.entry(id); len(e.Leases) != 1 || e.End() != 3 || e.Leases[0].Renewal.Left != price+7 {
		t.Fatalf("not renewed in the second half of its last epoch: %+v", e.Leases)
	}
	if b, err := w.view().Bucket(2); err != nil || b != price {
		t.Fatalf("epoch 2 is paid %s, %v", b, err)
	}
	w.toEpoch(2)
	if e := w.entry(id); e.End() != 3 {
		t.Fatalf("renewed too early: %+v", e.Leases)
	}
	w.toMiddle(3)
	if e := w.entry(id); e.End() != 4 || e.Leases[0].Renewal.Left != 7 {
		t.Fatalf("%+v", e.Leases)
	}
	w.toEpoch(4)
	w.gone(id)
	if g := w.grave(id); g.Reason != registry.Expired || g.Ended != 4 {
		t.Fatalf("%+v", g)
	}
	if a := w.balanced(); a.Allowances != 0 || w.account(alice).Balance != start-fee-4*price-w.writePrice(m) {
		t.Fatalf("what was left did not come back: %+v", a)
	}
}

// A renewal is an entry in the list of leases, but takes no other's place in it.
func TestARenewalAtAnotherPriceIsALeaseOfItsOwn(t *testing.T) {
	p := small()
	p.Registry.MaxLeases = 1
	w := newWorld(t, p, 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	units := token.Amount(w.units(m))
	id := w.kept(alice, m, 1, 5000*units, 2000)
	w.setPrice(2000)
	w.toMiddle(0)
	e := w.entry(id)
	if len(e.Leases) != 2 || e.Leases[0].Renews() || e.Leases[1].Price != 2000*units || e.Leases[1].Renewal.Left != 3000*units || e.End() != 2 {
		t.Fatalf("%+v", e.Leases)
	}
	w.balanced()
	w.toEpoch(1)
	if e := w.entry(id); len(e.Leases) != 1 {
		t.Fatalf("the old lease stays: %+v", e.Leases)
	}
	w.setPrice(2001) // above what the renewal accepts
	w.toEpoch(2)
	w.gone(id)
	if a := w.balanced(); a.Allowances != 0 {
		t.Fatalf("%+v", a)
	}
}

// One blob a block is settled, and more are due in a half epoch than it has blocks.
func TestALateSweepStillRenews(t *testing.T) {
	p := small()
	p.SweepBlobs = 1
	w := newWorld(t, p, 4)
	alice, bob := w.users[1], w.users[2]
	const blobs = 25 // a half epoch has ten blocks
	price := p.Registry.Price * token.Amount(w.units(w.manifest(0, 1000)))
	var ids []blob.ID
	var register, certify [][]byte
	for i := range blobs {
		m := w.manifest(i, 1000)
		ids = append(ids, m.ID())
		register = append(register, w.sign(alice, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address(), Allowance: 4 * price, HighestPrice: 1000}))
		w.nonces[alice.Address()]++
		certify = append(certify, Unsigned(Certify{Blob: m.ID(), Certificate: w.certificate(m.ID(), 0, all)}))
	}
	w.block(register)
	w.block(certify)
	const end = 3
	w.toEpoch(end)
	late := 0
	for _, id := range ids {
		e := w.entry(id)
		if !e.Live(end) {
			t.Fatalf("%s is taken for ended before it was looked at", id)
		}
		if e.End() == end {
			late++
		}
	}
	if late < 10 {
		t.Fatalf("only %d come late: the test shows nothing", late)
	}
	var waiting []blob.ID
	for _, id := range ids {
		if w.entry(id).End() == end {
			waiting = append(waiting, id)
		}
	}
	// A transaction that comes before the sweep sees the blob as the sweep leaves it.
	first, second := waiting[len(waiting)-1], waiting[len(waiting)-2]
	w.refusedWith(ErrCertified, w.send(Certify{Blob: first, Certificate: w.certificate(first, end, all)}))
	w.do(alice, Extend{Blob: first, Epochs: 1})
	if e := w.entry(first); e.End() != end+2 || e.Leases[0].Renewal.Left != 3*price {
		t.Fatalf("%+v", e.Leases)
	}
	w.refusedWith(ErrLeased, w.try(alice, RegisterBlob{Manifest: w.entry(second).Manifest, Epochs: 1, Owner: alice.Address()}))
	w.do(bob, RegisterBlob{Manifest: w.entry(second).Manifest, Epochs: 1, Owner: bob.Address()})
	if e := w.entry(second); len(e.Leases) != 2 || e.Leases[0].End != end+1 || e.Leases[1].Write != 0 {
		t.Fatalf("%+v", e.Leases)
	}
	w.balanced()
	w.toMiddle(end)
	for w.head().Height < w.head().EpochEnd {
		w.advance(1)
	}
	for _, id := range ids {
		if e := w.entry(id); e.End() <= end {
			t.Fatalf("%s was not renewed: %+v", id, e.Leases)
		}
	}
	if b, err := w.view().Bucket(end - 1); err != nil || b != 0 {
		t.Fatalf("an epoch that is over was paid %s, %v", b, err)
	}
	w.balanced()
}

func TestARenewalIsReplacedAndStopped(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	w.do(bob, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address(), Allowance: 500, HighestPrice: 1})
	id := m.ID()
	w.certify(id)
	was, hers := w.account(bob).Balance, w.account(alice).Balance
	w.refusedWith(ErrNotOwner, w.try(bob, SetRenewal{Blob: id, Allowance: 1, HighestPrice: 1}))
	w.refusedWith(ErrUnknownBlob, w.try(alice, SetRenewal{Blob: blob.ID{1}, Allowance: 1, HighestPrice: 1}))
	w.refusedWith(ErrMalformed, w.try(alice, SetRenewal{Blob: id, Allowance: 1}))
	w.refusedWith(ErrFunds, w.try(alice, SetRenewal{Blob: id, Allowance: 1_000_000 * token.WAL, HighestPrice: 1}))
	w.do(alice, SetRenewal{Blob: id, Allowance: 300, HighestPrice: 7})
	if got := w.account(bob).Balance; got != was+500 {
		t.Fatalf("what the old renewal had left is not with its payer: %s", got-was)
	}
	want := registry.Renewal{Payer: alice.Address(), Left: 300, Highest: 7}
	if e := w.entry(id); e.Leases[0].Renewal != want || w.balanced().Allowances != 300 || w.account(alice).Balance != hers-fee-300 {
		t.Fatalf("%+v", e.Leases)
	}
	w.do(alice, SetRenewal{Blob: id})
	if e := w.entry(id); e.Leases[0].Renewal != (registry.Renewal{}) || w.balanced().Allowances != 0 || w.account(alice).Balance != hers-2*fee {
		t.Fatalf("%+v", e.Leases)
	}
}

func TestARenewalMovesWithExtensionsAndComesBackOnDeletion(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	id := w.kept(alice, m, 5, 500, 1)
	w.do(alice, Extend{Blob: id, Epochs: 1})
	if e := w.entry(id); len(e.Leases) != 1 || e.Leases[0].Renewal.Left != 500 {
		t.Fatalf("%+v", e.Leases)
	}
	w.setPrice(1001)
	w.do(alice, Extend{Blob: id, Epochs: 1})
	e := w.entry(id)
	if len(e.Leases) != 2 || e.Leases[0].Renews() || e.Leases[1].Renewal.Left != 500 {
		t.Fatalf("%+v", e.Leases)
	}
	before, back := w.account(alice).Balance, token.Amount(0)
	for _, l := range e.Leases {
		one := l.Unused(2)
		back += one - w.g.Params.Registry.Fee(one)
	}
	w.do(alice, Delete{Blob: id})
	if got := w.account(alice).Balance; got != before-fee+back+500 {
		t.Fatalf("balance %s, want %s", got, before-fee+back+500)
	}
	w.balanced()
}

func TestAPermanentLeaseRenewsAndCanBeStopped(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	price := w.g.Params.Registry.Price * token.Amount(w.units(m))
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address(), Permanent: true, Allowance: 5 * price, HighestPrice: 1000})
	w.certify(m.ID())
	w.toMiddle(1)
	if e := w.entry(m.ID()); e.End() != 3 || !e.Leases[0].Permanent {
		t.Fatalf("%+v", e.Leases)
	}
	w.refusedWith(ErrPermanent, w.try(alice, Delete{Blob: m.ID()}))
	w.do(alice, SetRenewal{Blob: m.ID()})
	w.toEpoch(3)
	w.gone(m.ID())
	if a := w.balanced(); a.Allowances != 0 {
		t.Fatalf("%+v", a)
	}
}

func TestOfTwoOwnersOneRenews(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	price := w.g.Params.Registry.Price * token.Amount(w.units(m))
	id := w.kept(alice, m, 2, 0, 0)
	w.kept(bob, m, 2, 2*price, 1000)
	w.toEpoch(2)
	if e := w.entry(id); len(e.Leases) != 1 || e.Leases[0].Owner != bob.Address() || e.End() != 3 || len(w.owned(alice)) != 0 || len(w.owned(bob)) != 1 {
		t.Fatalf("%+v", e.Leases)
	}
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 5, Owner: alice.Address()}) // again, beside bob's
	w.toEpoch(4)
	if e := w.entry(id); len(e.Leases) != 1 || e.Leases[0].Owner != alice.Address() || w.balanced().Allowances != 0 {
		t.Fatalf("%+v", e.Leases)
	}
}

func TestARenewalThatIsDueAtOnceIsDoneAtOnce(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m, later := w.manifest(1, 1000), w.manifest(2, 1000)
	price := w.g.Params.Registry.Price * token.Amount(w.units(m))
	w.toMiddle(0)
	id := w.kept(alice, m, 1, 5*price, 1000)
	if e := w.entry(id); e.End() != 2 {
		t.Fatalf("certified in the second half of its only epoch: %+v", e.Leases)
	}
	w.kept(bob, m, 1, 5*price, 1000)
	if e := w.entry(id); e.Leases[1].End != 2 {
		t.Fatalf("a second lease: %+v", e.Leases)
	}
	other := w.kept(alice, later, 1, 0, 0)
	w.do(alice, SetRenewal{Blob: other, Allowance: 5 * price, HighestPrice: 1000})
	if e := w.entry(other); e.End() != 2 {
		t.Fatalf("set in the second half of the last epoch: %+v", e.Leases)
	}
	w.balanced()
}

func TestAnAllowanceComesBackWhenTheRegistrationLapses(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice := w.users[1]
	m := w.manifest(1, 1000)
	before := w.account(alice).Balance
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address(), Allowance: token.WAL, HighestPrice: 1000})
	lease := w.entry(m.ID()).Leases[0]
	w.toMiddle(0)
	if e := w.entry(m.ID()); e.End() != 1 {
		t.Fatalf("what is not certified renews itself: %+v", e.Leases)
	}
	w.toEpoch(1)
	w.gone(m.ID())
	want := before - fee - lease.Price - w.g.Params.Registry.Fee(lease.Write) // its room was held for an epoch
	if got := w.account(alice).Balance; got != want || w.balanced().Allowances != 0 {
		t.Fatalf("balance %s, want %s", got, want)
	}
}

func TestOnlyACertifiedRegistrationPaysForWriting(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob, carol := w.users[1], w.users[2], w.users[3]
	m := w.manifest(1, 1000)
	id := m.ID()
	for _, k := range []token.Key{alice, bob} {
		w.do(k, RegisterBlob{Manifest: m, Epochs: 3, Owner: k.Address()})
	}
	write, price := w.writePrice(m), w.entry(id).Leases[0].Price
	if a := w.balanced(); write == 0 || a.Escrow != 6*price+2*write {
		t.Fatalf("%+v", a)
	}
	before := w.account(bob).Balance
	w.do(bob, Delete{Blob: id}) // not certified: what is left of it after the epochs of its room comes back, less a fee
	back := price + write
	if got := w.account(bob).Balance; got != before-fee+back-w.g.Params.Registry.Fee(back) {
		t.Fatalf("balance %s", got)
	}
	w.toEpoch(1)
	if err := w.send(Certify{Blob: id, Certificate: w.certificate(id, 0, all)}); err != nil {
		t.Fatal(err)
	}
	if b, err := w.view().Bucket(1); err != nil || b != 3*price+write { // epoch 0 is over; and epoch 1 of Bob's
		t.Fatalf("the epoch of the certificate is paid %s, %v", b, err)
	}
	w.do(carol, RegisterBlob{Manifest: m, Epochs: 2, Owner: carol.Address()})
	for _, l := range w.entry(id).Leases {
		if l.Write != 0 {
			t.Fatalf("%+v", l)
		}
	}
	before = w.account(alice).Balance
	w.do(alice, Delete{Blob: id})
	if got := w.account(alice).Balance; got != before-fee {
		t.Fatalf("what writing cost came back: %s", got)
	}
	w.balanced()
}
