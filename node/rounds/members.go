package rounds

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// members knows the peers of the nodes in the present committee, in the committee before,
// whose proofs may still be disputed, and in the next one, if it is known. They have
// places at this node that strangers cannot take.
type members struct {
	mu    sync.Mutex // guards the fields below
	epoch unit.Epoch
	next  bool             // peers has the committee of the next epoch too
	peers map[peer.ID]bool // nil before the first look
	nodes map[peer.ID]bool // all registered nodes
	at    time.Time        // of the list of nodes
}

// listNodes is the time between two lists of the registered nodes.
const listNodes = 30 * time.Second

// has says whether a peer is a member of one of the committees.
func (m *members) has(p peer.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[p]
}

// standing is the standing of a peer.
func (m *members) standing(p peer.ID) p2p.Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.peers[p]:
		return p2p.Member
	case m.nodes[p]:
		return p2p.Registered
	}
	return p2p.Stranger
}

// follow reads the committees around an epoch, unless they are known.
func (m *members) follow(v ledger.View, epoch unit.Epoch) error {
	if err := m.followNodes(v); err != nil {
		return err
	}
	_, err := v.Committee(epoch + 1)
	if err != nil && !errors.Is(err, ledger.ErrNoCommittee) {
		return fmt.Errorf("members of epoch %d: %w", epoch+1, err)
	}
	next := err == nil
	m.mu.Lock()
	known := m.peers != nil && m.epoch == epoch && m.next == next
	m.mu.Unlock()
	if known {
		return nil
	}
	peers := map[peer.ID]bool{}
	for e := epoch.Minus(1); e <= epoch+1; e++ {
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
	m.epoch, m.next, m.peers = epoch, next, peers
	return nil
}

// followNodes lists the registered nodes every listNodes. If the ledger cannot be listed,
// they stay strangers.
func (m *members) followNodes(v ledger.View) error {
	m.mu.Lock()
	known := m.nodes != nil && time.Since(m.at) < listNodes
	m.mu.Unlock()
	if known {
		return nil
	}
	nodes := map[peer.ID]bool{}
	err := v.EachNode(func(n ledger.NodeRecord) error {
		if p, err := p2p.PeerOf(n.ID[:]); err == nil {
			nodes[p] = true
		}
		return nil
	})
	if err != nil && !errors.Is(err, ledger.ErrNoList) {
		return fmt.Errorf("list the nodes: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes, m.at = nodes, time.Now()
	return nil
}
