package testnet

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// offer is the frame that offers a blob of a few stripes for a place. Most nodes have
// another place, and refuse; one has it, and waits for the stripes.
func (a *attacker) offer(n byte) []byte {
	shape, err := a.genesis.Params.Shape()
	if err != nil {
		panic(err)
	}
	layout, err := shape.Layout(int64(shape.K1*shape.K2) * int64(shape.MaxSymbol()) * 2)
	if err != nil {
		panic(err)
	}
	places := []blob.Place{blob.Place(int(n) % shape.N)}
	return frame(1, p2p.Offer{Manifest: blob.NewManifest(layout, blob.Hash{byte(a.number), n, 9}).Encode(), Places: places})
}

// silentOffers hold places for uploads and send no stripe.
func silentOffers(ctx context.Context, a *attacker) {
	n := byte(0)
	a.always(ctx, 1, 20*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		for range 8 {
			n++
			s, err := a.stream(ctx, node, p2p.FragmentProtocol, a.offer(n))
			if err != nil {
				return err
			}
			context.AfterFunc(ctx, func() { s.Reset() })
		}
		return nil
	})
}

// offersThatHangUp offer, are told which stripes to send, and hang up, again and again.
func offersThatHangUp(ctx context.Context, a *attacker) {
	n := byte(0)
	a.always(ctx, 4, 5*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		n++
		s, err := a.stream(ctx, node, p2p.FragmentProtocol, a.offer(n))
		if err != nil {
			return err
		}
		s.SetReadDeadline(time.Now().Add(time.Second))
		s.Read(make([]byte, 5))
		return s.Close()
	})
}

// hold keeps streams open until ctx ends or the node ends them.
func hold(ctx context.Context, list ...network.Stream) {
	for _, s := range list {
		context.AfterFunc(ctx, func() { s.Reset() })
	}
}
