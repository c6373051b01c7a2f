package rounds

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Holders that are asked and say nothing must not use up the time in which the others'
// proofs still count: all are asked before any of them has answered.
func TestSilentHoldersDoNotKeepOthersFromBeingAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silent = 5
		n := startNetwork(t, 7, func(*ledger.Params) {})
		one := n.nodes[0].part
		b := newInbox(n.ledger.ChainID(), ledger.RoundState{Round: challenge.RoundID{Epoch: 1, Round: 2}, Drawn: true, Ready: []byte{0xff}}, ledger.Committee{}, ledger.Params{}, true)
		var asked atomic.Int64
		all := make(chan struct{})
		for i := range silent {
			host := n.stranger(byte(50 + i))
			b.committee.Holder = append(b.committee.Holder, staking.NodeID(token.KeyFromSeed([32]byte{byte(50 + i), 99}).Public()))
			host.ServeProofs(func(ctx context.Context, _ peer.ID, _ unit.Epoch, _ unit.Round, _ blob.Shard) ([]byte, error) {
				if asked.Add(1) == silent {
					close(all)
				}
				select {
				case <-all:
				case <-ctx.Done():
				}
				return nil, errors.New("says nothing")
			}, func(peer.ID) bool { return false })
		}
		ctx, cancel := context.WithTimeout(t.Context(), pullLimit-time.Second) // before one is given up
		defer cancel()
		one.pull(ctx, b)
		if asked.Load() != silent {
			t.Errorf("%d of %d holders were asked", asked.Load(), silent)
		}
	})
}

// The committee's nodes alone have places of their own for what they ask:
// those of the epoch before too, whose proofs may still be disputed.
func TestMembersOfTheCommitteeAreFavoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := judging(t)
		n.tallied()
		one := n.nodes[0].part
		stranger := n.stranger(9)
		for i := range n.nodes {
			if !one.members.has(n.nodes[i].host.ID()) {
				t.Errorf("node %d is no member", i)
			}
		}
		if one.members.has(stranger.ID()) {
			t.Error("a stranger is a member")
		}
		if err := one.members.follow(n.view(), 1); err != nil { // as if the epoch's committee were not known
			t.Fatal(err)
		}
		if !one.members.has(n.nodes[1].host.ID()) || one.members.has(stranger.ID()) {
			t.Error("the members of the epoch before are forgotten")
		}
	})
}
