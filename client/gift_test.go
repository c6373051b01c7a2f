package client

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// owing is what a store with these options has to pay where only a stranger has a lease
// for the owner.
func owing(t *testing.T, o StoreOptions, strangers registry.Lease) ([]ledger.Body, error) {
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
	strangers.Owner, strangers.Payer = payer().Address(), token.Address{66}
	e := registry.Entry{Units: l.StoredKiB(), CertifiedHeight: 1, Leases: []registry.Lease{strangers}}
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
