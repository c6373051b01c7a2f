package p2p

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/blob"
)

// Streams that peers open. A stream that waits for a request is spared at once when a
// newcomer needs its place; one that has not sent any yet, after a moment.
const (
	maxStreams     = 1024 // of one protocol
	maxPeerStreams = 8    // of them from one peer
	maxNetStreams  = 128  // and from one network of addresses
	firstPatience  = time.Second
	restPatience   = time.Millisecond
	workPatience   = 10 * time.Second // while an answer goes out that the asker does not take

	maxLarge      = 64 // frames over smallFrame that are being read
	maxPeerLarge  = 4
	maxNetLarge   = 16
	largePatience = 2 * time.Second

	// A stranger that opens streams so much faster than asksPerSecond loses its connection,
	// and each new one until it has been still for a while: every stream costs, also one
	// that is refused.
	hastyDebt = 2 * time.Second

	refuseLimit = 2 * time.Second // for the words to a stream that finds no place
)

// admission is all places of this host: of connections, streams, requests, frames and bytes.
type admission struct {
	countLoopback bool
	standing      atomic.Pointer[func(peer.ID) Standing]
	conns         *conns
	desks         *places // requests that are being answered
	large         *places // large frames that are being read
	submits       *budget // transactions that wait for their blocks
	unread        *budget // answers of the ledger protocol that are not written yet
	paces         *paces  // questions to the ledger
	opens         *paces  // streams

	mu      sync.Mutex // guards streams
	streams map[protocol.ID]*places
}

func newDoors(countLoopback bool) *admission {
	d := &admission{countLoopback: countLoopback, streams: map[protocol.ID]*places{},
		desks:   newPlaces(maxServed, maxPeerServed, maxNetServed, servePatience),
		large:   newPlaces(maxLarge, maxPeerLarge, maxNetLarge, largePatience),
		submits: newSubmits(), unread: newUnread(), paces: newPaces(), opens: newPaces()}
	d.conns = newConns()
	return d
}

// of is the places of a protocol's streams.
func (d *admission) of(id protocol.ID) *places {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.streams[id] == nil {
		d.streams[id] = newPlaces(maxStreams, maxPeerStreams, maxNetStreams, firstPatience)
		d.streams[id].members = maxPeerStreams * blob.MaxShards
	}
	return d.streams[id]
}

// SetStanding says how peers are told apart: nodes of the committee have places that
// strangers cannot take. Until it is called all are strangers. It is asked often.
func (h *Host) SetStanding(of func(peer.ID) Standing) { h.admission.standing.Store(&of) }

// standingOf is a peer's standing.
func (h *Host) standingOf(p peer.ID) Standing {
	if of := h.admission.standing.Load(); of != nil {
		return (*of)(p)
	}
	return Stranger
}

func (h *Host) visitorOf(c network.Conn) visitor {
	return visitor{peer: c.RemotePeer(), net: networkOf(c.RemoteMultiaddr(), h.admission.countLoopback), standing: h.standingOf(c.RemotePeer())}
}

// admitted runs what answers a stream, within the places of its protocol. A panic in it
// ends that stream.
func (h *Host) admitted(id protocol.ID, answer func(context.Context, *session)) network.StreamHandler {
	return func(stream network.Stream) {
		h.handlers.Add(1)
		defer h.handlers.Done()
		err := Guard(h.log, "answer "+string(id), func() error {
			h.admit(id, stream, answer)
			return nil
		})
		if err != nil {
			stream.Reset()
		}
	}
}

func (h *Host) admit(id protocol.ID, stream network.Stream, answer func(context.Context, *session)) {
	s := newSession(stream)
	s.visitor, s.large, s.conns = h.visitorOf(stream.Conn()), h.admission.large, h.admission.conns
	if s.visitor.standing != Member && h.admission.opens.spend(s.visitor.peer, 1) > hastyDebt {
		stream.Conn().Close()
		return
	}
	ctx, cancel := context.WithCancel(h.closing)
	defer cancel()
	place, ok := h.admission.of(id).take(s.visitor, func() { cancel(); stream.Reset() })
	if !ok {
		stream.SetWriteDeadline(time.Now().Add(refuseLimit))
		s.refuse(Refuse(CodeBusy, "%d streams of %s at once, %d of one peer: try again in a moment", maxStreams, id, maxPeerStreams))
		s.close(nil) // a reset would overtake the words
		return
	}
	defer place.release()
	s.place = place
	answer(ctx, s)
}

// serve answers a protocol to peers that said hello.
func (h *Host) serve(id protocol.ID, answer func(context.Context, *session) error) {
	h.libp2p.SetStreamHandler(id, h.admitted(id, func(ctx context.Context, s *session) {
		// The hello is under way beside the stream. A peer that knew this host before it
		// started anew believes that it was said: it is asked for it.
		said := h.greeted.await(ctx, s.peer(), helloGrace)
		if !said {
			_, err := h.greet(ctx, s.peer())
			said = err == nil
		}
		if !said {
			s.refuse(Refuse(CodeBadRequest, "say hello first (%s)", HelloProtocol))
			s.close(nil)
			return
		}
		err := answer(ctx, s)
		if err != nil {
			h.log.Debug("stream ended", "protocol", id, "peer", s.peer(), "err", err)
		}
		s.close(err)
	}))
}

// atDesk answers a request of a stream within the places for that. The place is kept
// until the answer is written: what waits to be sent takes memory too.
func (h *Host) atDesk(ctx context.Context, s *session, answer func() error) error {
	s.place.patient(workPatience)
	waiting, cancel := context.WithTimeout(ctx, serveWait)
	defer cancel()
	desk, ok := h.admission.desks.wait(waiting, s.visitor, func() { s.stream.Reset() })
	if !ok {
		return Refuse(CodeBusy, "%d requests at once, %d of one peer: try again in a moment", maxServed, maxPeerServed)
	}
	s.desks = []*guest{desk}
	defer func() {
		s.desks = nil
		desk.release()
	}()
	busy := h.admission.conns.hold(s.stream.Conn())
	defer busy()
	return answer()
}

// rest says that a stream waits for its next request: it may be spared now.
func (s *session) rest() { s.place.patient(restPatience) }
