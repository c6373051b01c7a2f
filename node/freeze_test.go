package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// Whatever is asked of a drawn stripe waits: a node with fragments but no witnesses
// must not have these from others either.
func TestNothingOfADrawnStripeIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		stored, err := n.client().Store(ctx, n.wallet, random(100_000, 3), client.StoreOptions{Epochs: 2})
		if err != nil {
			t.Fatal(err)
		}
		entry, _, err := n.view().Blob(stored.ID)
		if err != nil {
			t.Fatal(err)
		}
		one, p := n.nodes[1].node, ledger.Testnet()
		k, place := keeper{one}, n.placesOf(n.directory(), stored.ID, 1)[0]
		drawn := ledger.RoundState{Ordinal: 3, T: 100, Drawn: true, Drawings: []ledger.DrawnStripe{{Manifest: entry.Manifest, Stripe: 0}}}
		for height, waits := range map[unit.Height]bool{100: true, unit.Height(100 + p.Challenge.Deadline): false} {
			one.freeze.Follow(ledger.Head{Height: height}, drawn, p, time.Now())
			at := blob.Position{Blob: stored.ID, Place: place}
			_, _, fragment := k.Fragment(ctx, at)
			_, symbols := k.Symbols(ctx, at, []int{0}, true)
			_, witness := k.Witness(ctx, stored.ID, 0, place)
			for what, err := range map[string]error{"fragment": fragment, "symbols": symbols, "witness": witness} {
				if p2p.IsRefusal(err, p2p.CodeWait) != waits || !waits && err != nil {
					t.Errorf("at block %d the %s: %v", height, what, err)
				}
			}
		}
	})
}
