package p2p

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/walrus-network/walrus/blob"
)

const loopbackQUIC = "/ip4/127.0.0.1/udp/0/quic-v1"

// ways is how many connections over TCP and over others the server has to the client.
func ways(server, client *Host) (tcp, others int) {
	for _, c := range server.libp2p.Network().ConnsToPeer(client.ID()) {
		if isTCP(c.RemoteMultiaddr()) {
			tcp++
		} else {
			others++
		}
	}
	return tcp, others
}

// Questions go over QUIC, which connects in one round trip, and what is much over TCP.
func TestAClientAsksOverQUICAndMovesMuchOverTCP(t *testing.T) {
	for name, listen := range map[string][]string{"both": {loopback, loopbackQUIC}, "QUIC alone": {loopbackQUIC}, "TCP alone": {loopback}} {
		t.Run(name, func(t *testing.T) {
			held := &shelf{held: map[blob.Position][]byte{}}
			server := open(t, Config{Key: key(1), Listen: listen, Hello: Hello{Chain: "net"}})
			server.ServeLedger(echo{})
			server.ServeFragments(held)
			client := open(t, Config{Key: key(2), Bootstrap: server.Addrs(), Hello: Hello{Chain: "net"}})
			if _, err := client.AskLedger(within(t), server.ID(), AskGet, []byte("x")); err != nil {
				t.Fatal(err)
			}
			tcp, quic := ways(server, client)
			if hasQUIC := name != "TCP alone"; hasQUIC != (quic == 1) || hasQUIC == (tcp == 1) {
				t.Errorf("asked over %d connections of TCP and %d of QUIC", tcp, quic)
			}
			l, err := client.BulkLine(within(t), server.ID(), nil, new(atomic.Int64))
			if err != nil {
				t.Fatal(err)
			}
			defer l.End()
			held.held[blob.Position{Axis: blob.Row}] = []byte("fragment")
			var got []byte
			err = l.Pieces(within(t), blob.ID{}, blob.Row, []blob.Place{0}, 0, 1, 100, func(p Piece) error {
				got = p.Data
				return nil
			})
			if err != nil || string(got) != "fragment" {
				t.Errorf("got %q: %v", got, err)
			}
			if tcp, quic = ways(server, client); name == "both" && (tcp != 1 || quic != 1) || tcp+quic > 2 {
				t.Errorf("%d connections of TCP and %d of QUIC", tcp, quic)
			}
			if n := len(client.libp2p.Network().ConnsToPeer(server.ID())); n != 1 {
				t.Errorf("libp2p knows %d connections of the client", n)
			}
		})
	}
}

// A connection for bulk that has ended is made anew, and goes with its host.
func TestAConnectionForBulkIsMadeAgain(t *testing.T) {
	server := open(t, Config{Key: key(1), Listen: []string{loopback, loopbackQUIC}, Hello: Hello{Chain: "net"}})
	server.ServeFragments(&shelf{held: map[blob.Position][]byte{}})
	client := open(t, Config{Key: key(2), Bootstrap: server.Addrs(), Hello: Hello{Chain: "net"}})
	client.Prepare(client.Bootstrap(), true)
	for range 2 {
		l, err := client.BulkFragments(within(t), server.ID(), nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Close(nil)
		for _, c := range server.libp2p.Network().ConnsToPeer(client.ID()) {
			if isTCP(c.RemoteMultiaddr()) {
				c.Close()
			}
		}
		until(t, "the client hears of the end", func() bool {
			client.bulk.mu.Lock()
			defer client.bulk.mu.Unlock()
			return client.bulk.peers[server.ID()].isOver()
		})
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.BulkFragments(within(t), server.ID(), nil); err == nil {
		t.Error("a closed host opens a stream")
	}
}

// Of several peers the first that is connected is told, and a silent one is not waited for.
func TestTheNearestPeerIsTheFirstThatIsConnected(t *testing.T) {
	farAway(t, func(t *testing.T, trips func(time.Duration) float64) {
		server := newHost(t, 1, "net")
		silent := newHost(t, 3, "net")
		addrs := append(server.Addrs(), silent.Addrs()...)
		if err := silent.Close(); err != nil {
			t.Fatal(err)
		}
		client := open(t, Config{Key: key(2), Bootstrap: addrs, Hello: Hello{Chain: "net"}})
		began := time.Now()
		if got := client.Nearest(within(t), []peer.ID{silent.ID(), server.ID()}); got != server.ID() {
			t.Errorf("nearest is %q", got)
		}
		if n := trips(time.Since(began)); n > 1.2 {
			t.Errorf("found in %.2f round trips", n)
		}
		if got := client.Nearest(within(t), nil); got != "" {
			t.Errorf("nearest of none is %q", got)
		}
	})
}

// A client connects in one round trip where it can; TCP is not far behind where QUIC is shut.
func TestQUICIsConnectedFirstByAClient(t *testing.T) {
	tcp, quic := ma.StringCast("/ip4/203.0.113.7/tcp/1"), ma.StringCast("/ip4/203.0.113.7/udp/1/quic-v1")
	delays := map[string]time.Duration{}
	var ranked []network.AddrDelay = rankerOf(Config{})([]ma.Multiaddr{tcp, quic})
	for _, d := range ranked {
		delays[d.Addr.String()] = d.Delay
	}
	if delays[quic.String()] != 0 || delays[tcp.String()] != tcpDelay {
		t.Errorf("delays %v", delays)
	}
	if d := rankerOf(Config{})([]ma.Multiaddr{tcp}); d[0].Delay != 0 {
		t.Errorf("TCP alone waits for %s", d[0].Delay)
	}
}
