package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/p2p"
)

// stalling takes an offer, and then nothing more.
type stalling struct{ keeper }

func (s stalling) Receive(ctx context.Context, _ peer.ID, in *p2p.Upload) (p2p.Confirmation, error) {
	if err := in.Want(func(uint32) bool { return true }); err != nil {
		return p2p.Confirmation{}, err
	}
	<-ctx.Done()
	return p2p.Confirmation{}, ctx.Err()
}

// silent does not even answer an offer.
type silent struct{ keeper }

func (silent) Receive(ctx context.Context, _ peer.ID, _ *p2p.Upload) (p2p.Confirmation, error) {
	<-ctx.Done()
	return p2p.Confirmation{}, ctx.Err()
}

// storeBeside is how long a store of size bytes takes that a distant client makes where one
// member behaves as bend says; nil: as the others. block is the time that a block takes.
func storeBeside(t *testing.T, bend func(keeper) p2p.Keeper, size int, block time.Duration) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait() // they serve
		if bend != nil {
			n.nodes[6].host.ServeFragments(bend(keeper{n.nodes[6].node}))
		}
		c := n.distantClientOf(block)
		n.store(within(t), c, random(1000, 1)) // it is connected to all
		data, began := random(size, 2), time.Now()
		stored := n.store(within(t), c, data)
		took = time.Since(began)
		n.read(within(t), c, stored.ID, data)
	})
	return took
}

// An upload does not wait for a member that stalls, neither stripe by stripe nor at its end:
// it leaves the member behind once, whatever the blob's size.
func TestAnUploadDoesNotWaitForAMemberThatStalls(t *testing.T) {
	for name, size := range map[string]int{"with the offer": 1000, "a few stripes": 24 << 20} {
		t.Run(name, func(t *testing.T) {
			if size > 1<<20 {
				testlevel.Middle(t, "encodes 24 MiB three times")
			}
			store := func(bend func(keeper) p2p.Keeper) time.Duration { return storeBeside(t, bend, size, 0) }
			well := store(nil)
			for what, bend := range map[string]func(keeper) p2p.Keeper{
				"takes an offer and no stripe": func(k keeper) p2p.Keeper { return stalling{k} },
				"answers no offer":             func(k keeper) p2p.Keeper { return silent{k} },
			} {
				// A second until it is left, and half of one after the others have confirmed.
				took, most := store(bend), well*115/100+1600*time.Millisecond
				t.Logf("%s: %s, %s where all are well", what, took, well)
				if took > most {
					t.Errorf("a member that %s: stored in %s, at most %s", what, took, most)
				}
			}
		})
	}
}

// late confirms long after it could.
type late struct{ keeper }

func (l late) Receive(ctx context.Context, from peer.ID, in *p2p.Upload) (p2p.Confirmation, error) {
	c, err := l.keeper.Receive(ctx, from, in)
	time.Sleep(4 * farRoundTrip) // virtual
	return c, err
}

// A store of a small blob pays when enough members have taken it, and certifies when enough
// have confirmed: what is left of the others goes on while blocks are waited for, and costs no
// time.
func TestAStoreWaitsForNoMoreMembersThanItNeeds(t *testing.T) {
	const block = time.Second
	store := func(bend func(keeper) p2p.Keeper) time.Duration { return storeBeside(t, bend, 1000, block) }
	well := store(nil)
	if most := 3*farRoundTrip + 2*block + 50*time.Millisecond; well > most {
		t.Errorf("stored in %s, at most %s", well, most)
	}
	for what, bend := range map[string]func(keeper) p2p.Keeper{
		"answers no offer":             func(k keeper) p2p.Keeper { return silent{k} },
		"takes an offer and no stripe": func(k keeper) p2p.Keeper { return stalling{k} },
		"confirms late":                func(k keeper) p2p.Keeper { return late{k} },
	} {
		if took := store(bend); took > well+20*time.Millisecond {
			t.Errorf("a member that %s: stored in %s, %s where all are well", what, took, well)
		}
	}
}
