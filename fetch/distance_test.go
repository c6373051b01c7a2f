package fetch

import (
	"context"
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/p2p/p2ptest"
)

type echo struct{}

func (echo) Answer(_ context.Context, _ peer.ID, _ p2p.Ask, body []byte) ([]byte, error) {
	return body, nil
}

// Members far away have the time in which they can be dialed before others are asked for
// the same bytes; near ones do not.
func TestFarMembersAreNotTakenForSilent(t *testing.T) {
	const away = 150 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		network := p2ptest.NewNetwork(t, away/2, 0)
		host := func(seed byte, bootstrap ...string) *p2p.Host {
			at := network.Place()
			h, err := p2p.New(p2p.Config{Key: ed25519.NewKeyFromSeed(append(make([]byte, 31), seed)), Listen: []string{at.Listen}, Wire: at.Wire,
				Bootstrap: bootstrap, Hello: p2p.Hello{Chain: "net"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { h.Close() })
			return h
		}
		server := host(1)
		server.ServeLedger(echo{})
		client := host(2, server.Addrs()...)
		f := New(client)
		if got := f.quietFor(); got != defaultHedge {
			t.Errorf("with nothing known %s", got)
		}
		if _, err := client.AskLedger(t.Context(), server.ID(), p2p.AskGet, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := f.quietFor(); got < 4*away || got > defaultHedge+4*away {
			t.Errorf("of members %s away a silence of %s is taken for one", away, got)
		}
	})
}
