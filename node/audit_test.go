package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
)

// An audit tells what it found of each node: it holds the blob, says that it does not,
// lies, refuses or keeps silent; and the audit waits for a node that may not answer yet.
func TestAnAuditFindsTheNodesThatHoldABlob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 7, 14)
		ctx := within(t)
		stored := n.store(ctx, n.client(), random(300_000, 1))
		const missing, lying, refusing, frozen, down, half = 1, 2, 3, 4, 5, 6
		n.turn(missing, &liar{symbols: func(blob.Position, bool, p2p.Symbols) (p2p.Symbols, error) { return p2p.Symbols{}, p2p.ErrNotHeld }})
		n.turn(lying, &liar{symbols: func(_ blob.Position, _ bool, s p2p.Symbols) (p2p.Symbols, error) {
			s.Openings[0] = flip(s.Openings[0])
			return s, nil
		}})
		n.turn(refusing, &liar{symbols: func(blob.Position, bool, p2p.Symbols) (p2p.Symbols, error) {
			return p2p.Symbols{}, p2p.Refuse(p2p.CodeBusy, "not today")
		}})
		var waited atomic.Int64
		n.turn(frozen, &liar{symbols: func(_ blob.Position, _ bool, s p2p.Symbols) (p2p.Symbols, error) {
			if waited.Add(1) <= 2 {
				return p2p.Symbols{}, p2p.Refuse(p2p.CodeWait, "a challenge is running")
			}
			return s, nil
		}})
		lost := map[blob.Place]bool{}
		for _, p := range n.placesOf(n.directory(), stored.ID, half)[:1] {
			lost[p] = true
		}
		n.turn(half, &liar{symbols: func(at blob.Position, _ bool, s p2p.Symbols) (p2p.Symbols, error) {
			if lost[at.Place] {
				return p2p.Symbols{}, p2p.ErrNotHeld
			}
			return s, nil
		}})
		n.stop(down)

		c := n.client()
		_, commitment, d, err := c.Find(ctx, stored.ID)
		if err != nil {
			t.Fatal(err)
		}
		const samples = 3
		said := 0
		got, err := c.Audit(ctx, d, commitment, samples, func() { said++ })
		if err != nil {
			t.Fatal(err)
		}
		byPeer := map[string]fetch.NodeAudit{}
		for _, one := range got.Nodes {
			byPeer[one.Peer.String()] = one
			if one.Asked != one.Shards*samples || one.Verified+one.Missing+one.Wrong+one.Refused != one.Asked {
				t.Errorf("the questions do not add up: %+v", one)
			}
		}
		held := 0
		for i, want := range map[int]func(fetch.NodeAudit) bool{
			0: func(a fetch.NodeAudit) bool { return a.Held == a.Shards && a.Why == "" && a.Elapsed > 0 },
			missing: func(a fetch.NodeAudit) bool {
				return a.Held == 0 && a.Missing == a.Asked && strings.Contains(a.Why, "does not hold")
			},
			lying:    func(a fetch.NodeAudit) bool { return a.Held == 0 && a.Wrong == a.Asked },
			refusing: func(a fetch.NodeAudit) bool { return a.Held == 0 && a.Refused == a.Asked && a.Why == "not today" },
			frozen:   func(a fetch.NodeAudit) bool { return a.Held == a.Shards && a.Verified == a.Asked && waited.Load() > 2 },
			half:     func(a fetch.NodeAudit) bool { return a.Held == a.Shards-1 && a.Missing == samples },
			down:     func(a fetch.NodeAudit) bool { return a.Held == 0 && a.Refused == a.Asked && a.Why != "" },
		} {
			id := n.genesis.Nodes[i].ID.String()
			a, ok := byPeer[id]
			if !ok || a.Shards != 2 || !want(a) {
				t.Errorf("node %d: %+v", i, a)
			}
			held += a.Held
		}
		if got.Held != held || got.Held != 5 || got.Shards != 14 || got.Needed != 6 || said != 1 || !errors.Is(got.Err(), fetch.ErrUnavailable) {
			t.Errorf("%+v, said %d times that it waits", got, said)
		}
		for i := range n.nodes {
			if i != down && c.Avoids(n.peer(i)) != (i == lying) {
				t.Errorf("node %d is avoided: %v", i, c.Avoids(n.peer(i)))
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := c.Audit(ended, d, commitment, samples, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("an audit that was interrupted: %v", err)
		}
	})
}
