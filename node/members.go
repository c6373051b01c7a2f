package node

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// members is the peers of the nodes in the committee, of those in the one before, whose
// proofs may still be asked for, and of those in the next one, where that is known: they
// have places at this node that strangers cannot take.
type members struct {
	mu    sync.Mutex // guards the fields below
	epoch uint64
	next  bool             // the committee of the next epoch was known when the peers were listed
	peers map[peer.ID]bool // nil: nothing is known yet
	nodes map[peer.ID]bool // registered, in a committee or not
	at    time.Time        // when nodes were listed
}

// listNodes is the time between two looks for newly registered nodes.
const listNodes = 30 * time.Second

// has says whether a peer is one of them.
func (m *members) has(p peer.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[p]
}

// standing is how much a peer has at stake here.
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

// follow looks who they are in an epoch, unless that is known.
func (m *members) follow(v ledger.View, epoch uint64) error {
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
	for e := epoch - min(epoch, 1); e <= epoch+1; e++ {
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

// followNodes lists the registered nodes now and then. A ledger that cannot be listed
// leaves them strangers.
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
