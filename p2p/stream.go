package p2p

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// connect dials a peer at the addresses that are known. Unlike libp2p's own Connect it does
// not wait for identify, a round trip that no protocol here needs.
func (h *Host) connect(ctx context.Context, p peer.ID, addrs []ma.Multiaddr) error {
	h.libp2p.Peerstore().AddAddrs(p, addrs, peerstore.TempAddrTTL)
	dial := func() error {
		// Whether to wait before a peer is tried again is decided by the caller: it knows
		// whether others will do.
		if s, ok := h.libp2p.Network().(*swarm.Swarm); ok {
			s.Backoff().Clear(p)
		}
		_, err := h.libp2p.Network().DialPeer(throughRelays(ctx), p)
		return err
	}
	err := dial()
	if isDialError(err, isBackoff) {
		err = dial() // the dial before this one ended after its time, and backed off
	}
	return err
}

// stream opens a stream of a protocol on a connection that stands. What is written goes out
// at once, with the protocol's name; whether the peer speaks it is known by the first read.
func (h *Host) stream(ctx context.Context, p peer.ID, id protocol.ID) (network.Stream, error) {
	s, err := h.libp2p.Network().NewStream(network.WithNoDial(throughRelays(ctx), "the caller dials"), p)
	if err == nil {
		if err = s.SetProtocol(id); err != nil {
			s.Reset()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s with %s: %w", id, p, err)
	}
	return &lazyStream{Stream: s, named: multistream.NewMSSelect(s, id)}, nil
}

// lazyStream is a stream whose protocol is named in its first write.
type lazyStream struct {
	network.Stream
	named io.ReadWriteCloser
}

func (s *lazyStream) Read(b []byte) (int, error)  { return s.named.Read(b) }
func (s *lazyStream) Write(b []byte) (int, error) { return s.named.Write(b) }

// CloseWrite says the name of the protocol first, should nothing have been written.
func (s *lazyStream) CloseWrite() error {
	if f, ok := s.named.(interface{ Flush() error }); ok {
		_ = f.Flush() // the next read tells what is wrong
	}
	return s.Stream.CloseWrite()
}

// closePatience is how long a closing stream waits for a peer that has not said yet whether
// it speaks the protocol.
const closePatience = 10 * time.Second

func (s *lazyStream) Close() error {
	_ = s.SetReadDeadline(time.Now().Add(closePatience))
	return s.named.Close()
}
