package fetch

import (
	"bytes"
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

// firstWrite takes what a read writes, and the time of the first byte.
type firstWrite struct {
	bytes.Buffer
	at time.Time
}

func (w *firstWrite) Write(b []byte) (int, error) {
	if w.at.IsZero() {
		w.at = time.Now()
	}
	return w.Buffer.Write(b)
}

// A large blob's first bytes come with the first answers, and its stripes at the same time: a
// read takes the round trips in which a new connection learns how much the line carries,
// however many stripes there are.
func TestALargeReadFromFarAwayTakesFewRoundTrips(t *testing.T) {
	const away = 150 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		network := p2ptest.NewNetwork(t, away/2, 0)
		h := newHoldersOf(t, 8<<20, 16<<10, func(seed byte, holds bool) *p2p.Host {
			c := p2p.Config{Key: ed25519.NewKeyFromSeed(append(make([]byte, 31), seed)), Hello: p2p.Hello{Chain: "net"}}
			at := network.Place()
			c.Listen, c.Wire = []string{at.Listen}, at.Wire
			h, err := p2p.New(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { h.Close() })
			return h
		})
		h.knowDistance(t) // as a client that has found the blob on the ledger
		var got firstWrite
		began := time.Now()
		if err := h.Read(t.Context(), h.d, h.c, &got); err != nil || !bytes.Equal(got.Bytes(), h.data) {
			t.Fatalf("%d bytes: %v", got.Len(), err)
		}
		first, all := float64(got.at.Sub(began))/float64(away), float64(time.Since(began))/float64(away)
		t.Logf("first byte after %.2f round trips, all after %.2f", first, all)
		if first > mostFirst || all > mostAll {
			t.Errorf("first byte after %.2f round trips, at most %.1f; all after %.2f, at most %.1f", first, mostFirst, all, mostAll)
		}
		if ratio := float64(h.Received()) / float64(len(h.data)); ratio > 1.05 {
			t.Errorf("%.2f of the blob's bytes came", ratio)
		}
	})
}

// Where the holder of the first row is silent, the first bytes come from the others, two round
// trips later; where it lacks the row, at once.
func TestASilentFirstHolderHardlyDelaysTheFirstByte(t *testing.T) {
	t.Run("silent", func(t *testing.T) { firstByteWithout(t, 4, func(s *shelf) { s.pause = 5 * time.Second }) })
	t.Run("lacks the row", func(t *testing.T) { firstByteWithout(t, 3, func(s *shelf) { s.empty = true }) })
}

func firstByteWithout(t *testing.T, most float64, bend func(first *shelf)) {
	const away = 150 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		h := newMemoryHolders(t, 8<<20, away)
		for _, s := range h.shelves { // as a client is connected once it knows the blob
			if err := h.host.Connect(t.Context(), s.host.ID(), s.host.Addrs()); err != nil {
				t.Fatal(err)
			}
		}
		h.knowDistance(t)
		bend(h.shelves[0])
		var got firstWrite
		began := time.Now()
		if err := h.Read(t.Context(), h.d, h.c, &got); err != nil || !bytes.Equal(got.Bytes(), h.data) {
			t.Fatalf("%d bytes: %v", got.Len(), err)
		}
		first := float64(got.at.Sub(began)) / float64(away)
		t.Logf("first byte after %.2f round trips, all after %.2f", first, float64(time.Since(began))/float64(away))
		if first > most {
			t.Errorf("first byte after %.2f round trips, at most %.0f", first, most)
		}
	})
}

// Round trips of a read of 8 MiB over new connections: one to connect, two for the first
// answer, which shares its line with all others here, and the rest until windows that double
// each time have let all bytes through.
const (
	mostFirst = 3.5
	mostAll   = 9.
)
