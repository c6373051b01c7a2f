package ledger

import (
	"testing"
)

func TestABlobIsPaidForCertifiedAndEnds(t *testing.T) {
	w := newWorld(t, small(), 4)
	m := w.manifest(1, 1000)
	id := m.ID()
	before := w.account(w.users[1]).Balance
	w.do(w.users[1], RegisterBlob{Manifest: m, Epochs: 2, Owner: w.users[1].Address()})
	w.balanced()
	w.certify(id)
	w.balanced()
	e, found, err := w.view().Blob(id)
	if err != nil || !found || !e.Certified() {
		t.Fatalf("%+v %v %v", e, found, err)
	}
	cost := e.Leases[0].Total()
	if got := w.account(w.users[1]).Balance; got != before-cost-fee {
		t.Fatalf("balance %s, want %s", got, before-cost-fee)
	}
	w.toEpoch(2)
	w.balanced()
	if _, found, _ := w.view().Blob(id); found {
		t.Fatal("the lease is over and the blob is still there")
	}
	stone, found, err := w.view().Tombstone(id)
	if err != nil || !found || stone.Free != 3 {
		t.Fatalf("%+v %v %v", stone, found, err)
	}
}
