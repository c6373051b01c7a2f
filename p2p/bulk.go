package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// bulk is connections over TCP, beside those over QUIC, of a host that only dials. QUIC is
// the quicker to connect, and a few packets are as fast over it; many are not: its windows
// and its congestion control are those of a library, and cost the processor three times as
// much. libp2p has one way to a peer; these it does not know, so that they carry the streams
// of this host alone.
type bulk struct {
	mu     sync.Mutex // guards the fields below
	peers  map[peer.ID]*bulkConn
	closed bool
}

// bulkConn is a connection for bulk, or the attempt to have one.
type bulkConn struct {
	ended chan struct{} // closed once the attempt has ended
	conn  transport.CapableConn
	at    time.Time // when the attempt ended
}

const (
	bulkDials = 4                // addresses of a peer that are dialed for bulk
	bulkAgain = 30 * time.Second // after which a failed attempt is made again
)

var errNoBulk = errors.New("no connection for bulk")

// openBulk is open for a stream that carries much.
func (h *Host) openBulk(ctx context.Context, p peer.ID, addrs []string, id protocol.ID) (*session, error) {
	b := h.startBulk(p, addrs)
	if b == nil {
		return h.open(ctx, p, addrs, id)
	}
	return h.openOn(ctx, p, addrs, func(main network.Conn) (network.Stream, error) {
		select {
		case <-b.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s, err := b.stream(ctx, main, id)
		if err != nil {
			h.dropBulk(p, b)
			return h.stream(ctx, p, id)
		}
		return s, nil
	})
}

// startBulk is the connection for bulk to a peer, begun where there is none; nil where the
// connection that stands, or the one that will, is as good.
func (h *Host) startBulk(p peer.ID, addrs []string) *bulkConn {
	s, ok := h.libp2p.Network().(*swarm.Swarm)
	if !ok || !h.dialsOnly {
		return nil
	}
	if slices.ContainsFunc(s.ConnsToPeer(p), func(c network.Conn) bool { return isTCP(c.RemoteMultiaddr()) }) {
		return nil
	}
	var dialed []ma.Multiaddr
	named := h.named(p, addrs)
	if !slices.ContainsFunc(named, func(a ma.Multiaddr) bool { return !isTCP(a) && !relayed(a) }) {
		return nil // the connection will be over TCP, unless the peer has moved
	}
	for _, a := range named {
		if isTCP(a) && s.TransportForDialing(a) != nil && !slices.ContainsFunc(dialed, a.Equal) {
			dialed = append(dialed, a)
		}
	}
	if len(dialed) == 0 {
		return nil
	}
	h.bulk.mu.Lock()
	defer h.bulk.mu.Unlock()
	if b := h.bulk.peers[p]; b != nil && !b.isOver() || h.bulk.closed {
		return b
	}
	b := &bulkConn{ended: make(chan struct{})}
	if h.bulk.peers == nil {
		h.bulk.peers = map[peer.ID]*bulkConn{}
	}
	h.bulk.peers[p] = b
	h.handlers.Go(func() { h.dialBulk(p, b, dialed[:min(len(dialed), bulkDials)]) })
	return b
}

// isOver says that the connection has ended, or that enough time went by since the attempt
// to have one failed.
func (b *bulkConn) isOver() bool {
	select {
	case <-b.ended:
		return b.conn == nil && time.Since(b.at) > bulkAgain || b.conn != nil && b.conn.IsClosed()
	default:
		return false
	}
}

// dialBulk dials some addresses at once; the first that is connected counts.
func (h *Host) dialBulk(p peer.ID, b *bulkConn, addrs []ma.Multiaddr) {
	ctx, cancel := context.WithTimeout(h.closing, dialLimit)
	defer cancel()
	s := h.libp2p.Network().(*swarm.Swarm)
	conns := make(chan transport.CapableConn, len(addrs))
	for _, a := range addrs {
		go func() {
			c, err := s.TransportForDialing(a).Dial(ctx, a, p)
			if err != nil {
				h.log.Debug("no connection for bulk", "peer", p, "address", a, "err", err)
				c = nil
			}
			conns <- c
		}()
	}
	for range addrs {
		c := <-conns
		switch {
		case c == nil:
		case b.conn != nil || h.closing.Err() != nil:
			c.Close()
		default:
			b.conn, b.at = c, time.Now()
			close(b.ended)
			cancel() // the other dials
			h.handlers.Go(func() { refuseStreams(c) })
		}
	}
	if b.conn == nil {
		b.at = time.Now()
		close(b.ended)
	}
}

// refuseStreams resets what a peer opens: it finds this host on the other connection.
func refuseStreams(c transport.CapableConn) {
	for {
		s, err := c.AcceptStream()
		if err != nil {
			return
		}
		s.Reset()
	}
}

// stream opens a stream. main is the connection that libp2p knows.
func (b *bulkConn) stream(ctx context.Context, main network.Conn, id protocol.ID) (network.Stream, error) {
	if b.conn == nil {
		return nil, errNoBulk
	}
	s, err := b.conn.OpenStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s with %s: %w", id, main.RemotePeer(), err)
	}
	of := &bulkStream{MuxedStream: s, main: main, id: id}
	return &lazyStream{Stream: of, named: multistream.NewMSSelect(of, id)}, nil
}

// dropBulk closes a connection on which no stream can be opened.
func (h *Host) dropBulk(p peer.ID, b *bulkConn) {
	if b.conn == nil {
		return // the attempt is remembered for a while
	}
	b.conn.Close()
	h.bulk.mu.Lock()
	defer h.bulk.mu.Unlock()
	if h.bulk.peers[p] == b {
		delete(h.bulk.peers, p)
	}
}

// closeBulk closes all connections for bulk. None is made afterwards.
func (h *Host) closeBulk() {
	h.bulk.mu.Lock()
	defer h.bulk.mu.Unlock()
	h.bulk.closed = true
	for _, b := range h.bulk.peers {
		select {
		case <-b.ended:
			if b.conn != nil {
				b.conn.Close()
			}
		default: // closing ends the dial
		}
	}
}

// isTCP says whether an address is dialed over TCP, and not through a relay.
func isTCP(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_TCP)
	return err == nil && !relayed(a)
}

// bulkStream is a stream of a connection that libp2p does not know.
type bulkStream struct {
	network.MuxedStream
	main network.Conn
	id   protocol.ID
}

var _ network.Stream = (*bulkStream)(nil)

func (s *bulkStream) ID() string                       { return "bulk-" + s.main.ID() }
func (s *bulkStream) Protocol() protocol.ID            { return s.id }
func (s *bulkStream) SetProtocol(id protocol.ID) error { s.id = id; return nil }
func (s *bulkStream) Stat() network.Stats              { return network.Stats{Direction: network.DirOutbound} }
func (s *bulkStream) Conn() network.Conn               { return s.main }
func (s *bulkStream) Scope() network.StreamScope       { return &network.NullScope{} }
