package node

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// Holders that are asked and say nothing must not use up the time in which the others'
// proofs still count: all are asked before any of them has answered.
func TestSilentHoldersDoNotKeepOthersFromBeingAsked(t *testing.T) {
	const silent = 5
	n := startNetwork(t, 4, 7)
	one := n.nodes[0].node.rounds
	h := newHearing(n.ledger.ChainID(), ledger.RoundState{Round: challenge.Round{Epoch: 1, Round: 2}, Drawn: true, Ready: []byte{0xff}}, ledger.Committee{}, ledger.Params{}, true)
	var asked atomic.Int64
	all := make(chan struct{})
	for i := range silent {
		host := n.stranger(byte(50 + i))
		h.committee.Holder = append(h.committee.Holder, staking.NodeID(token.KeyFromSeed([32]byte{byte(50 + i), 99}).Public()))
		host.ServeProofs(func(ctx context.Context, _ peer.ID, _, _ uint64, _ blob.Shard) ([]byte, error) {
			if asked.Add(1) == silent {
				close(all)
			}
			select {
			case <-all:
			case <-ctx.Done():
			}
			return nil, errors.New("says nothing")
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), pullLimit-time.Second) // before one is given up
	defer cancel()
	one.pull(ctx, h)
	if asked.Load() != silent {
		t.Errorf("%d of %d holders were asked", asked.Load(), silent)
	}
}
