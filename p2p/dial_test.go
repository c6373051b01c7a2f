package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/walrus-network/walrus/p2p/p2ptest"
)

// An upload waits for a peer that is too busy to answer, as long as its client does; what may
// ask others does not.
func TestAnUploadWaitsForABusyPeer(t *testing.T) {
	const busy = 3 * dialLimit
	synctest.Test(t, func(t *testing.T) {
		n := p2ptest.NewNetwork(t, time.Millisecond, 0)
		place := n.Place()
		opened := func(c Config, place p2ptest.Place) *Host {
			c.Listen, c.Wire = []string{place.Listen}, place.Wire
			h, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { h.Close() })
			return h
		}
		id, err := PeerOf(key(1).Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		addrs := []string{place.Listen}
		client := opened(Config{Key: key(2), Hello: Hello{Chain: "net"}}, n.Place())
		go func() {
			time.Sleep(busy) // virtual
			opened(Config{Key: key(1), Hello: Hello{Chain: "net"}}, place)
		}()
		if err := client.Connect(t.Context(), id, addrs); err == nil {
			t.Fatal("a host that does not listen was connected")
		}
		hasty, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := client.Reach(hasty, id, addrs, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a client that gives up got %v", err)
		}
		if err := client.Reach(t.Context(), id, addrs, false); err != nil {
			t.Fatal(err)
		}
		if _, ok := client.Peers()[id]; ok {
			t.Error("a dial says hello, which costs a round trip")
		}
	})
}

// libp2p refuses to dial a peer for seconds after a dial that failed, also where that dial ends
// just when the next one begins. Here the caller decides.
func TestADialWaitsForNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := p2ptest.NewNetwork(t, time.Millisecond, 0)
		var hosts []*Host
		for i := range 2 {
			place := n.Place()
			h, err := New(Config{Key: key(i + 1), Listen: []string{place.Listen}, Wire: place.Wire, Hello: Hello{Chain: "net"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { h.Close() })
			hosts = append(hosts, h)
		}
		client, peer := hosts[0], hosts[1].libp2p
		for _, a := range peer.Addrs() {
			client.libp2p.Network().(*swarm.Swarm).Backoff().AddBackoff(peer.ID(), a)
		}
		if err := client.connect(t.Context(), peer.ID(), peer.Addrs()); err != nil {
			t.Error(err)
		}
	})
	late := &swarm.DialError{DialErrors: []swarm.TransportError{{Cause: swarm.ErrDialBackoff}}}
	if !isSlow(fmt.Errorf("connect: %w", late)) || isSlow(nil) {
		t.Error("a peer that is not dialed yet is taken for one that is not there")
	}
}
