package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// A node that does not keep all lets go of exactly the rest once the blob is certified,
// and does not rebuild it, nor after a restart. An honest one lets go of nothing.
func TestANodeLetsGoOfWhatItDoesNotKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, 28)
		ctx := within(t)
		even := Conduct{Keeps: func(_ blob.ID, p blob.Place) bool { return p%2 == 0 }}
		n.stop(3)
		n.nodes[3].conduct = even
		n.start(3)
		stored := n.store(ctx, n.client(), random(1<<20, 9))
		v, err := n.ledger.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := v.Blob(stored.ID)
		if err != nil {
			t.Fatal(err)
		}
		c, err := e.Manifest.Commitment()
		if err != nil {
			t.Fatal(err)
		}
		// odd is how much of the odd places and of the even ones is missing.
		missing := func(i int) (odd, even int) {
			d, err := n.nodes[i].node.duty(ctx)
			if err != nil {
				t.Fatal(err)
			}
			gone, err := n.nodes[i].store.Missing(c, d.places(c.ID, d.shards))
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range gone {
				if at.Place%2 == 0 {
					even++
				} else {
					odd++
				}
			}
			return odd, even
		}
		d, err := n.nodes[3].node.duty(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all := 0
		for _, p := range d.places(c.ID, d.shards) {
			if p%2 == 1 {
				all += 2 * c.Layout.Stripes
			}
		}
		if all == 0 {
			t.Fatal("it has no odd place: choose another seed")
		}
		for odd, even := missing(3); odd != all || even != 0; odd, even = missing(3) {
			if ctx.Err() != nil {
				t.Fatalf("lacks %d fragments at odd places of %d, and %d at even ones", odd, all, even)
			}
			time.Sleep(20 * time.Millisecond) // its loop looks when it looks
		}
		n.stop(3)
		n.start(3)
		n.healed(ctx, 3)
		if odd, even := missing(3); odd != all || even != 0 {
			t.Errorf("after a restart it lacks %d fragments at odd places of %d, and %d at even ones", odd, all, even)
		}
		n.healed(ctx, 0)
		if odd, even := missing(0); odd+even > 0 {
			t.Errorf("an honest node lacks %d", odd+even)
		}
		n.stop(3)
		n.nodes[3].conduct = Conduct{}
		n.start(3)
		n.healed(ctx, 3)
		if odd, even := missing(3); odd+even > 0 {
			t.Errorf("honest again it lacks %d", odd+even)
		}
	})
}
