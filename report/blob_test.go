package report

import (
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// A blob with a lease of each of two owners, one of which leaves an allowance.
func TestABlobLastsAsLongAsItsLastLease(t *testing.T) {
	w := newWorld(t, 4, 1000*token.WAL)
	m := w.Manifest(100_000)
	shape := must(w.now().Params.Shape())(t)
	layout := must(shape.Layout(100_000))(t)
	price := must(w.now().Params.Registry.PriceOf(layout.StoredKiB()))(t)
	if b := must(w.now().Blob(m.ID()))(t); b.State != Unknown || len(b.Leases) != 0 {
		t.Fatalf("%+v", b)
	}
	w.Do(w.holder, token.WAL, ledger.RegisterBlob{Manifest: m, Epochs: 2, Owner: w.holder.Address(), Allowance: 3 * price, HighestPrice: w.Genesis.Params.Registry.Price})
	if b := must(w.now().Blob(m.ID()))(t); b.State != Registered || b.CertifiedEpoch != nil || b.Safe != nil {
		t.Fatalf("%+v", b)
	}
	w.Certify(m.ID(), token.Secret{8, 0}, token.Secret{8, 1}, token.Secret{8, 2}, token.Secret{8, 3})
	w.Do(w.payer, token.WAL, ledger.RegisterBlob{Manifest: m, Epochs: 4, Owner: w.payer.Address()})
	b := must(w.now().Blob(m.ID()))(t)
	for owner, want := range map[token.Address][2]unit.Epoch{w.holder.Address(): {2, 5}, w.payer.Address(): {4, 4}, {}: {4, 5}, w.operator.Address(): {0, 0}} {
		if end, renewed := b.Lasts(owner); end != want[0] || renewed != want[1] {
			t.Errorf("the leases of %s end in %d and %d, want %v", owner, end, renewed, want)
		}
	}
	if b.State != Certified || *b.CertifiedEpoch != 0 || b.EndEpoch != 4 || b.RenewsUntil != 5 || len(b.Leases) != 2 || b.Bytes != 100_000 {
		t.Errorf("%+v", b)
	}
	e, _, err := w.View().Blob(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	s := must(w.now().Safety(e, nil))(t)
	if got := w.now().WithSafety(b, s); !*got.Safe || got.Answer != s.String() || got.Nodes != 4 || got.Shards != 10 || got.Needed != 4 || !got.PaidUntil.Equal(w.now().Begins(4)) {
		t.Errorf("%+v", got)
	}
	for range 6 {
		w.Epoch()
	}
	if b := must(w.now().Blob(m.ID()))(t); b.State != registry.Expired.String() || b.EndedEpoch == nil && b.EndEpoch != 5 {
		t.Errorf("%+v", b)
	}
	if list := must(w.now().OwnedBlobs(w.operator.Address()))(t); list == nil || len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
