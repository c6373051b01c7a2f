package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// A peer that sent a wrong byte is avoided for a while, longer each time. A wrong
// byte is data about the peer, not an error of ours.
const (
	firstAvoid = time.Minute
	maxAvoid   = 24 * time.Hour
	maxScores  = 4096 // a name costs a liar nothing: what is remembered of them is bounded
)

type scores struct {
	mu    sync.Mutex // guards peers
	now   func() time.Time
	peers map[peer.ID]*score
}

type score struct {
	faults int
	until  time.Time
}

// Blame records that a peer sent something provably wrong.
func (h *Host) Blame(p peer.ID, what error) {
	h.scores.mu.Lock()
	defer h.scores.mu.Unlock()
	s := h.scores.peers[p]
	if s == nil {
		h.scores.makeRoom()
		s = &score{}
		h.scores.peers[p] = s
	}
	wait := min(firstAvoid<<min(s.faults, 16), maxAvoid)
	s.faults++
	s.until = h.scores.now().Add(wait)
	h.log.Warn("peer sent wrong bytes", "peer", p, "err", what, "avoided_for", wait)
}

// makeRoom forgets peers that may be asked again anyway, or else the one that may be soonest.
func (s *scores) makeRoom() {
	if len(s.peers) < maxScores {
		return
	}
	var first peer.ID
	for p, of := range s.peers {
		if s.now().After(of.until) {
			delete(s.peers, p)
		} else if first == "" || of.until.Before(s.peers[first].until) {
			first = p
		}
	}
	if len(s.peers) >= maxScores {
		delete(s.peers, first)
	}
}

// Avoided says whether a peer is to be asked only when no other is left.
func (h *Host) Avoided(p peer.ID) bool {
	h.scores.mu.Lock()
	defer h.scores.mu.Unlock()
	s := h.scores.peers[p]
	return s != nil && h.scores.now().Before(s.until)
}
