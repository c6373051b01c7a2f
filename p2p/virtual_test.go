package p2p

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/p2p/p2ptest"
)

// simulated is the networks in memory of the tests that run in virtual time.
var simulated sync.Map // testing.TB to *p2ptest.Network

// virtual runs a test in virtual time: the hosts that it opens are on a network in
// memory, a millisecond apart, and waiting costs nothing. A test whose point is bytes on
// sockets keeps TCP.
func virtual(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		simulated.Store(t, p2ptest.NewNetwork(t, time.Millisecond, 0))
		t.Cleanup(func() { simulated.Delete(t) })
		test(t)
	})
}

// open opens a host until the end of a test: as c says, or in virtual time at a place
// of its own.
func open(t testing.TB, c Config) *Host {
	t.Helper()
	if n, ok := simulated.Load(t); ok {
		at := n.(*p2ptest.Network).Place()
		c.Listen, c.Wire = []string{at.Listen}, at.Wire
	}
	c.Log = slog.New(slog.DiscardHandler)
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}
