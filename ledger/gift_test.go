package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/token"
)

// What an owner leaves to renew a stranger's permanent lease buys leases that the owner
// can give up: the stranger's terms are not the owner's.
func TestARenewalOfAStrangersLeaseIsNotPermanent(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	w.do(bob, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address(), Permanent: true})
	w.certify(m.ID())
	w.do(alice, SetRenewal{Blob: m.ID(), Allowance: 10 * token.WAL, HighestPrice: 1 << 40})
	w.toMiddle(0)
	w.advance(1)
	e := w.entry(m.ID())
	if len(e.Leases) < 2 {
		t.Fatalf("not renewed: %+v", e.Leases)
	}
	for _, l := range e.Leases {
		if l.Payer == alice.Address() && l.Permanent {
			t.Fatalf("alice never asked for a permanent lease, and has one: %+v", l)
		}
	}
	w.do(alice, Delete{Blob: m.ID()})
	w.balanced()
}

// Leases of strangers do not keep out an owner that pays for the first time.
func TestStrangersLeasesDoNotKeepAnOwnerOut(t *testing.T) {
	w := newWorldOf(t, small(), 4, func(g *Genesis) { g.Params.Registry.MaxLeases = 3 })
	alice, mallory := w.users[1], w.users[2]
	m := w.manifest(1, 1000)
	for i := range w.g.Params.Registry.MaxLeases {
		w.do(mallory, RegisterBlob{Manifest: m, Epochs: 1, Owner: token.Address{9, byte(i)}})
	}
	if err := w.try(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()}); err != nil {
		t.Fatalf("one account with %d leases for nobody keeps an owner out: %v", w.g.Params.Registry.MaxLeases, err)
	}
}
