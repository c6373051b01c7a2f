package p2ptest

import (
	"context"
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/p2p"
)

// host opens a host at a place. It is to be closed in the bubble that it was opened in.
func host(t *testing.T, i byte, at Place) *p2p.Host {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = i
	h, err := p2p.New(p2p.Config{Key: ed25519.NewKeyFromSeed(seed), Listen: []string{at.Listen}, Hello: p2p.Hello{Chain: "net", Version: "test"}, Wire: at.Wire})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func closeAll(t *testing.T, hosts ...*p2p.Host) {
	t.Helper()
	for _, h := range hosts {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A connection and a hello take some times the distance, by a clock that waits for no machine.
func TestDistanceIsVirtualTime(t *testing.T) {
	for _, latency := range []time.Duration{0, 50 * time.Millisecond, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			n := NewNetwork(t, latency, 0)
			a, b := host(t, 1, n.Place()), host(t, 2, n.Place())
			defer closeAll(t, a, b)
			began := time.Now()
			if err := a.Connect(context.Background(), b.ID(), b.Addrs()); err != nil {
				t.Fatal(err)
			}
			// There and back for QUIC's handshake, and again for the hello.
			if took := time.Since(began); took < 4*latency || took > 10*latency+time.Second {
				t.Errorf("%s away: connected in %s", latency, took)
			}
		})
	}
}

func TestALossyNetworkCarriesAStreamInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(t, 20*time.Millisecond, 0.1)
		a, b := host(t, 1, n.Place()), host(t, 2, n.Place())
		defer closeAll(t, a, b)
		if err := a.Connect(context.Background(), b.ID(), b.Addrs()); err != nil {
			t.Fatal(err)
		}
	})
}

// A host that comes back at its place is found there, and two cannot be at one place.
func TestAPlaceIsFreeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(t, time.Millisecond, 0)
		at := n.Place()
		a, b := host(t, 1, n.Place()), host(t, 2, at)
		addrs := b.Addrs()
		if _, err := n.open(at.IP, 4001); err == nil {
			t.Error("two sockets have one address")
		}
		closeAll(t, b)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := a.Connect(ctx, b.ID(), addrs); err == nil {
			t.Error("a closed host answers")
		}
		b = host(t, 2, at)
		defer closeAll(t, a, b)
		for a.Connect(ctx, b.ID(), addrs) != nil { // dials to it are held off for a while
			if ctx.Err() != nil {
				t.Fatal("a host that came back is not found")
			}
			time.Sleep(time.Second)
		}
	})
}

// A network that is stretched is as far from then on.
func TestAStretchedNetworkIsFarther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(t, time.Millisecond, 0)
		a, b := host(t, 1, n.Place()), host(t, 2, n.Place())
		defer closeAll(t, a, b)
		n.Stretch(t, time.Second, 0)
		began := time.Now()
		if err := a.Connect(context.Background(), b.ID(), b.Addrs()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 4*time.Second {
			t.Errorf("connected in %s over a second each way", took)
		}
	})
}
