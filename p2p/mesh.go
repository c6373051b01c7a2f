package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// meshPatience is how long a message waits for a mesh: one forms at the second
// heartbeat after the first peer is there, and a message that is published before reaches no peer.
const meshPatience = 3 * time.Second

// mesh is the peers that gossip passes messages on to, by topic.
type mesh struct {
	mu    sync.Mutex // guards the fields below
	peers map[string]map[peer.ID]bool
	grown chan struct{} // closed when a peer comes
}

func newMesh() *mesh {
	return &mesh{peers: map[string]map[peer.ID]bool{}, grown: make(chan struct{})}
}

func (m *mesh) add(topic string, p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.peers[topic] == nil {
		m.peers[topic] = map[peer.ID]bool{}
	}
	m.peers[topic][p] = true
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *mesh) remove(topic string, p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.peers[topic], p)
}

func (m *mesh) removeFromAll(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, peers := range m.peers {
		delete(peers, p)
	}
}

func (m *mesh) size(topic string) (int, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.peers[topic]), m.grown
}

// wait returns once a topic has a peer, or after a while without.
func (m *mesh) wait(ctx context.Context, topic string) error {
	patience := time.NewTimer(meshPatience)
	defer patience.Stop()
	for {
		n, grown := m.size(topic)
		if n > 0 {
			return nil
		}
		select {
		case <-grown:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
