package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// A shard changes hands: the new holder fills it by the same loop that heals, the
// ledger hears when it is complete, and the old holder keeps its fragments until the
// end of the epoch that follows, no longer.
func TestAShardIsHandedOverAndThenLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 28)
		ctx := within(t)
		c := n.client()
		data := random(400_000, 11)
		stored, err := c.Store(ctx, n.wallet, data, client.StoreOptions{Epochs: 20})
		if err != nil {
			t.Fatal(err)
		}
		epoch := int(n.genesis.Params.EpochBlocks())

		// More stake behind node 0 gives it shards of others.
		taker := n.nodes[0].node.ID()
		if _, err := c.Send(ctx, n.wallet, ledger.Bond{Node: taker, Amount: 500_000 * token.WAL}); err != nil {
			t.Fatal(err)
		}
		before := n.committee(t)
		for len(n.committee(t).Duty(taker)) == len(before.Duty(taker)) {
			if err := n.ledger.Advance(epoch); err != nil {
				t.Fatal(err)
			}
		}
		now := n.committee(t)
		var moved []blob.Shard
		for _, s := range now.Duty(taker) {
			if !slices.Contains(before.Duty(taker), s) {
				moved = append(moved, s)
			}
		}
		giver := slices.IndexFunc(n.nodes, func(r *running) bool { return r.node.ID() == before.Holder[moved[0]] })
		place := stored.ID.PlaceOf(moved[0], n.genesis.Params.Shards)
		at := blob.Position{Blob: stored.ID, Place: place}
		t.Logf("shards %v go to node 0, %d from node %d", moved, moved[0], giver)

		n.until(ctx, func() bool {
			ready := n.committee(t)
			return !slices.ContainsFunc(moved, func(s blob.Shard) bool { return !ready.From[s].IsZero() })
		})
		n.possesses(0, stored.ID)

		// Ready, and the old holder still has it; it is needed no more after the next epoch.
		for turn := range 3 {
			if err := n.nodes[giver].node.collectOnce(ctx, time.Now()); err != nil {
				t.Fatal(err)
			}
			held, err := n.nodes[giver].store.Has(at)
			if err != nil {
				t.Fatal(err)
			}
			if turn == 0 && !held {
				t.Fatal("the old holder let go at once")
			}
			if turn == 2 && held {
				t.Fatal("the old holder never lets go")
			}
			if err := n.ledger.Advance(epoch); err != nil {
				t.Fatal(err)
			}
		}
		n.possesses(giver, stored.ID) // what it still has the duty for
		n.read(ctx, n.client(), stored.ID, data)
	})
}

func (n *network) committee(t *testing.T) ledger.Committee {
	t.Helper()
	v, err := n.ledger.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := v.Head()
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Committee(head.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
