package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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
