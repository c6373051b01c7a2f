package p2p

import (
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Prepare begins to dial peers that will be needed soon, all at the same time; with heavy
// also for bulk. It does not wait.
func (h *Host) Prepare(peers []peer.AddrInfo, heavy bool) {
	for _, p := range peers {
		if p.ID == h.ID() {
			continue
		}
		var addrs []string
		for _, a := range p.Addrs {
			addrs = append(addrs, a.String())
		}
		if heavy {
			h.startBulk(p.ID, addrs)
		}
		h.handlers.Go(func() {
			ctx, cancel := context.WithTimeout(h.closing, dialLimit)
			defer cancel()
			if err := h.Connect(ctx, p.ID, addrs); err != nil && ctx.Err() == nil {
				h.log.Debug("a peer that may be needed does not answer", "peer", p.ID, "err", err)
			}
		})
	}
}

// preparedPeers is how many bootstrap peers are dialed at once before it is known which are
// needed.
const preparedPeers = 16

// PrepareBootstrap is Prepare for the bootstrap peers.
func (h *Host) PrepareBootstrap() {
	var peers []peer.AddrInfo
	for _, b := range h.Bootstrap() {
		if i := slices.IndexFunc(peers, func(n peer.AddrInfo) bool { return n.ID == b.ID }); i >= 0 {
			peers[i].Addrs = append(peers[i].Addrs, b.Addrs...)
		} else if len(peers) < preparedPeers {
			peers = append(peers, peer.AddrInfo{ID: b.ID, Addrs: slices.Clone(b.Addrs)})
		}
	}
	h.Prepare(peers, false)
}

// Nearest dials some of the peers at once, unless one is connected, and returns the first
// that is. It is empty where none can be reached.
func (h *Host) Nearest(ctx context.Context, peers []peer.ID) peer.ID {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(chan peer.ID, len(peers))
	for _, p := range peers {
		if isConnected(h.libp2p.Network(), p) {
			return p
		}
	}
	for _, p := range peers {
		h.handlers.Go(func() {
			if h.dial(h.closing, p, nil) != nil { // the others are of use too
				p = ""
			}
			found <- p
		})
	}
	for range peers {
		select {
		case p := <-found:
			if p != "" {
				return p
			}
		case <-ctx.Done():
			return ""
		}
	}
	return ""
}
