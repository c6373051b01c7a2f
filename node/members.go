package node

import (
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// members is the peers of the nodes in the committee, and of those in the one before,
// whose proofs may still be asked for: they need them to vote, and to answer disputes.
type members struct {
	mu    sync.Mutex // guards the fields below
	epoch uint64
	peers map[peer.ID]bool // nil: nothing is known yet
}

// has says whether a peer is one of them.
func (m *members) has(p peer.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[p]
}

// follow looks who they are in an epoch, unless that is known.
func (m *members) follow(v ledger.View, epoch uint64) error {
	m.mu.Lock()
	known := m.peers != nil && m.epoch == epoch
	m.mu.Unlock()
	if known {
		return nil
	}
	peers := map[peer.ID]bool{}
	for e := epoch - min(epoch, 1); e <= epoch; e++ {
		c, err := v.Committee(e)
		if errors.Is(err, ledger.ErrNoCommittee) {
			continue // the ledger has forgotten it
		}
		if err != nil {
			return fmt.Errorf("members of epoch %d: %w", e, err)
		}
		for _, x := range c.Nodes {
			if p, err := p2p.PeerOf(x.ID[:]); err == nil {
				peers[p] = true
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.peers = epoch, peers
	return nil
}
