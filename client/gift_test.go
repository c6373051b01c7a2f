package client

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// owing is what a store with these options has to pay where only a stranger has a lease
// for the owner.
func owing(t *testing.T, o StoreOptions, strangers registry.Lease) ([]ledger.Body, error) {
	t.Helper()
	strangers.Owner, strangers.Payer = payer().Address(), token.Address{66}
	return owingFor(t, o, strangers)
}

// owingFor is what a store has to pay where one lease is there.
func owingFor(t *testing.T, o StoreOptions, there registry.Lease) ([]ledger.Body, error) {
	t.Helper()
	h := newHalting(t)
	v, err := h.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shape, err := ledger.Testnet().Shape()
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(1000)
	if err != nil {
		t.Fatal(err)
	}
	s := &storeRun{c: h.command(t.TempDir()), key: payer(), options: o, d: committee{epoch: 0}, p: &encodedBlob{Commitment: blob.Commitment{Layout: l}}}
	e := registry.Entry{Units: l.StoredKiB(), CertifiedHeight: 1, Leases: []registry.Lease{there}}
	err = s.owed(v, e, true)
	var out []ledger.Body
	for _, p := range s.paying {
		out = append(out, p.body)
	}
	return out, err
}

// A stranger who pays one epoch in the owner's name does not make the owner's store
// shorter than it would have been.
func TestAStrangersShortLeaseDoesNotShortenAStore(t *testing.T) {
	got, err := owing(t, StoreOptions{}, registry.Lease{Start: 0, End: 1})
	if err != nil || len(got) == 0 {
		t.Fatalf("a stranger's lease of one epoch is there, and a store of the network's default length pays %v: %v", got, err)
	}
}

// Nor does it keep a permanent one out, which the ledger would take.
func TestAStrangersLeaseDoesNotKeepAPermanentStoreOut(t *testing.T) {
	for _, permanent := range []bool{false, true} { // what cannot be deleted cannot be made way for
		got, err := owing(t, StoreOptions{Epochs: 5, Permanent: true}, registry.Lease{Start: 0, End: 1, Permanent: permanent})
		if err != nil || len(got) == 0 {
			t.Errorf("stranger's lease permanent %v: pays %v: %v", permanent, got, err)
		}
	}
}

// A store for another owner registers in that owner's name, and what it has paid there
// before counts for its epochs; it cannot be lengthened by who is not the owner.
func TestAStoreForAnotherOwner(t *testing.T) {
	friend := token.Address{7}
	got, err := owing(t, StoreOptions{Owner: friend, Epochs: 5}, registry.Lease{End: 9})
	if err != nil || len(got) != 1 || got[0].(ledger.RegisterBlob).Owner != friend {
		t.Fatalf("pays %v: %v", got, err)
	}
	for _, c := range []struct {
		end    unit.Epoch
		o      StoreOptions
		refuse bool
	}{
		{5, StoreOptions{Epochs: 5}, false},
		{5, StoreOptions{}, false},
		{4, StoreOptions{Epochs: 5}, true},
		{5, StoreOptions{Epochs: 5, Permanent: true}, true},
		{5, StoreOptions{Epochs: 5, Allowance: 1}, true},
	} {
		c.o.Owner = friend
		got, err := owingFor(t, c.o, registry.Lease{Owner: friend, Payer: payer().Address(), End: c.end})
		if len(got) > 0 || errors.Is(err, ErrTerms) != c.refuse {
			t.Errorf("lease until %d, asked for %+v: pays %v: %v", c.end, c.o, got, err)
		}
	}
}
