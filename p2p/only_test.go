package p2p

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
)

// Whatever strangers say of a peer's addresses, it is reached at the one that is proven,
// and no other is dialed.
func TestAPeerIsDialedWhereItIsProvenToBe(t *testing.T) {
	silent, err := net.ListenPacket("udp4", "0.0.0.0:0") // never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := silent.LocalAddr().(*net.UDPAddr).Port
	server, client := quicHost(t, 1), newHost(t, 2, "net")
	for i := range 64 {
		lie := ma.StringCast(fmt.Sprintf("/ip4/127.0.%d.%d/udp/%d/quic-v1", 1+i/32, i+1, port))
		client.libp2p.Peerstore().AddAddr(server.ID(), lie, peerstore.PermanentAddrTTL)
	}
	if err := client.Connect(within(t), server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	silent.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // what was sent over loopback is here
	if _, _, err := silent.ReadFrom(make([]byte, 2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it is dialed where strangers said that it is: %v", err)
	}
	if len(client.only.peers) > 0 {
		t.Error("later dials are kept to the proven addresses still")
	}
}

// quicHost listens on QUIC alone, where the lies say that it listens too.
func quicHost(t *testing.T, seed byte) *Host {
	t.Helper()
	h, err := New(Config{Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)), Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, Hello: Hello{Chain: "net", Version: "test"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// A peer that has moved is found although the proven address is dead.
func TestAPeerThatMovedIsDialedWhereItIsKnown(t *testing.T) {
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	for _, a := range server.libp2p.Addrs() {
		client.libp2p.Peerstore().AddAddr(server.ID(), a, peerstore.PermanentAddrTTL)
	}
	if err := client.Connect(within(t), server.ID(), []string{"/ip4/127.0.0.1/tcp/1"}); err != nil {
		t.Fatal(err)
	}
}
