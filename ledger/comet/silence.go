package comet

import (
	"errors"
	"time"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"
)

const (
	// silentBlocks is how many blocks' time, and silentAtLeast the least time, for which a
	// peer that takes part in the agreement may say nothing while it is spoken to.
	silentBlocks  = 3
	silentAtLeast = 5 * time.Second
	// nearBlocks is how many blocks a peer may be behind to take part: one that catches up
	// says little.
	nearBlocks = 10
)

var errSilent = errors.New("it says nothing any more: the line is dead")

// silence finds connections over which nothing comes any more. TCP itself notices a line
// that was cut after many minutes; and where the line comes back before, it waits for up to
// as long as it was cut until it tries again. So such a connection is ended, and the peer
// dialed anew.
type silence struct {
	limit time.Duration
	lines map[p2p.ID]*spoken
}

// spoken is what was said over a connection.
type spoken struct {
	peer  p2p.Peer
	takes bool      // the peer takes part in the agreement, by what it said last
	since time.Time // when it was first spoken to after it said something; zero: it was not
}

func newSilence(block time.Duration) *silence {
	return &silence{limit: max(silentBlocks*block, silentAtLeast), lines: map[p2p.ID]*spoken{}}
}

// heard is what is known of a connection.
type heard struct {
	height         int64     // that the peer said last it is at
	received, sent time.Time // sent: by the agreement; transactions want no answer
}

// dead says whether this node, which is at a height, has had no word for long from a peer
// that takes part and that it speaks to. Silence on both sides shows nothing: the network
// may stand still.
func (s *silence) dead(id p2p.ID, peer p2p.Peer, height int64, h heard, now time.Time) bool {
	line := s.lines[id]
	if line == nil || line.peer != peer {
		line = &spoken{peer: peer}
		s.lines[id] = line
	}
	if !h.sent.After(h.received) || h.received.After(line.since) {
		line.since = time.Time{}
	}
	if line.since.IsZero() && h.sent.After(h.received) {
		line.since = h.sent
	}
	if now.Sub(h.received) < s.limit {
		line.takes = h.height+nearBlocks >= height
		return false
	}
	return line.takes && !line.since.IsZero() && now.Sub(line.since) >= s.limit
}

// endSilent ends the connections of a chain that are dead.
func (c *Chain) endSilent(s *silence) {
	height := int64(c.machine.Height())
	var dead []p2p.Peer
	there := map[p2p.ID]bool{}
	c.sw.Peers().ForEach(func(p p2p.Peer) {
		there[p.ID()] = true
		state, ok := p.Get(types.PeerStateKey).(*consensus.PeerState)
		if !ok {
			return
		}
		now, status := time.Now(), p.Status()
		if s.dead(p.ID(), p, height, heard{state.GetHeight(), now.Add(-status.RecvMonitor.Idle), spokenTo(p)}, now) {
			dead = append(dead, p)
		}
	})
	for id := range s.lines {
		if !there[id] {
			delete(s.lines, id)
		}
	}
	for _, p := range dead {
		c.sw.StopPeerForError(p, errSilent)
	}
}
