package p2p

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
)

func (r *rig) offerWhole(t *testing.T, places []blob.Place) (c Confirmation, err error) {
	t.Helper()
	link := r.link(t)
	defer func() { link.Close(err) }()
	var stripes []OutgoingStripe
	for i := range uint32(r.layout.Stripes) {
		stripes = append(stripes, OutgoingStripe{List: make(blob.RootList, r.layout.N), Row: r.fragment(i, blob.Row), Column: r.fragment(i, blob.Column)})
	}
	out, err := link.OfferWhole(r.m, places, stripes)
	if err != nil {
		return c, err
	}
	for i := range uint32(r.layout.Stripes) {
		if out.Wants(i) {
			t.Errorf("stripe %d was sent and is wanted", i)
		}
	}
	return out.Finish()
}

// An upload that comes with its offer is taken like another; a stripe that the node has is
// read over.
func TestAnUploadComesWithItsOffer(t *testing.T) {
	places := []blob.Place{0, 2}
	for _, has := range []bool{false, true} {
		r := newRig(t, 1)
		at, old := blob.Position{Blob: r.m.ID(), Place: 0}, "held before"
		if has {
			r.keeper.held[at] = []byte(old)
		}
		c, err := r.offerWhole(t, places)
		if err != nil || c.Epoch != 7 {
			t.Fatalf("held %v: %+v, %v", has, c, err)
		}
		if got, err := r.keeper.get(at); err != nil || (string(got) == old) != has {
			t.Errorf("held %v: it has %q, %v", has, got, err)
		}
		if _, err := r.keeper.get(blob.Position{Blob: r.m.ID(), Place: 2}); (err != nil) != has {
			t.Errorf("held %v: the other place: %v", has, err)
		}
	}
}

// More than a bound of bytes does not come with an offer.
func TestALargeUploadDoesNotComeWithItsOffer(t *testing.T) {
	r := newRig(t, 2)
	if FitsWhole(r.layout, 1) {
		t.Fatal("it fits")
	}
	if _, err := r.offerWhole(t, []blob.Place{0}); err == nil {
		t.Error("taken")
	}
	if len(r.keeper.held) > 0 {
		t.Errorf("%d fragments are held", len(r.keeper.held))
	}
}
