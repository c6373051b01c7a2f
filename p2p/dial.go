package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// dialLimit bounds a dial where other peers do as well.
	dialLimit = 10 * time.Second
	// patientLimit bounds one attempt of a dial to a peer in whose place no other does. The
	// half of it is what a listening host gives a handshake.
	patientLimit = 30 * time.Second
	// patientPause is the least time from one attempt to the next.
	patientPause = time.Second
)

// dial tries the addresses that the caller names first, and them alone; then all that
// are known or that the DHT knows.
func (h *Host) dial(ctx context.Context, p peer.ID, addrs []string) error {
	return h.dialFor(ctx, p, addrs, dialLimit)
}

// Reach makes sure that there is a connection to p, in whose place no other peer does, with
// heavy also for bulk. A busy host takes seconds for each step of a handshake: where the time
// of a dial was too short it is dialed again, until ctx ends. addrs are hints.
func (h *Host) Reach(ctx context.Context, p peer.ID, addrs []string, heavy bool) error {
	if heavy {
		h.startBulk(p, addrs) // at the same time
	}
	for {
		if isConnected(h.libp2p.Network(), p) {
			return nil
		}
		next := time.NewTimer(patientPause)
		err := h.dialFor(ctx, p, addrs, patientLimit)
		if err == nil || ctx.Err() != nil || !isSlow(err) {
			next.Stop()
			return err
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// isSlow says whether a dial failed because the peer did not answer in time, or was cut off
// in a handshake, as a busy host does, or because libp2p waits after a dial that did.
func isSlow(err error) bool {
	return isDialError(err, func(err error) bool {
		var timeout interface{ Timeout() bool }
		return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || isBackoff(err)
	})
}

func isBackoff(err error) bool { return errors.Is(err, swarm.ErrDialBackoff) }

// isDialError says whether the dial of one address failed with such an error.
func isDialError(err error, is func(error) bool) bool {
	var dial *swarm.DialError
	if !errors.As(err, &dial) {
		return err != nil && is(err)
	}
	return slices.ContainsFunc(dial.DialErrors, func(e swarm.TransportError) bool { return is(e.Cause) })
}

// dialFor is dial with a limit of its own.
func (h *Host) dialFor(ctx context.Context, p peer.ID, addrs []string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	named := h.named(p, addrs)
	h.libp2p.Peerstore().AddAddrs(p, named, peerstore.TempAddrTTL)
	first := errors.New("no known address")
	if len(named) > 0 {
		if first = h.dialNamed(ctx, p, named, limit/2); first == nil {
			return nil
		}
	}
	if len(h.libp2p.Peerstore().Addrs(p)) > len(named) {
		err := h.connect(ctx, p, nil)
		if err == nil {
			return nil
		}
		if len(named) == 0 {
			first = err
		}
	}
	// It may have moved: the DHT knows where it was last seen.
	table, err := h.table.get()
	if err == nil {
		var found peer.AddrInfo
		if found, err = table.FindPeer(ctx, p); err == nil {
			err = h.connect(ctx, p, found.Addrs)
		}
	}
	if err != nil {
		return fmt.Errorf("connect to %s: %w", p, first)
	}
	return nil
}

// named is the addresses of a peer that the caller names, and those of the bootstrap list.
func (h *Host) named(p peer.ID, addrs []string) (named []ma.Multiaddr) {
	for _, a := range addrs {
		if m, err := ma.NewMultiaddr(a); err == nil {
			transport, _ := peer.SplitAddr(m)
			named = append(named, transport)
		}
	}
	for _, b := range h.Bootstrap() {
		if b.ID == p {
			named = append(named, b.Addrs...)
		}
	}
	return named
}

// dialNamed dials a peer at some addresses and no others.
func (h *Host) dialNamed(ctx context.Context, p peer.ID, addrs []ma.Multiaddr, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer h.only.hold(p, addrs)()
	return h.connect(ctx, p, nil)
}
