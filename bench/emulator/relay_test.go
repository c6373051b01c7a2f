package emulator

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// relayed makes a relay whose hosts 0 and 1 are nodes.
func relayed(t *testing.T, o Options) *Relay {
	t.Helper()
	r, err := NewRelay(o, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

var farLinks = Options{RTT: 40 * time.Millisecond, Bits: []int64{1e9, 1e9, 1e9, 1e9}}

// A packet over UDP is the same on the other side, and so is the answer: a round trip
// altogether, at the host whose turn it was at first.
func TestARelayCarriesPackets(t *testing.T) {
	r := relayed(t, farLinks)
	node, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(loopback)})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	front, err := r.Front(1, QUIC, node.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() { // gives each packet back
		buf := make([]byte, maxPacket)
		for {
			n, from, err := node.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			node.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	first, err := net.Dial("udp4", front)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ask := func(host int, size int) (trips float64, flights []Flight) {
		t.Helper()
		stop, began := r.Watch(host), time.Now()
		question := bytes.Repeat([]byte{0xc5}, size)
		if _, err := first.Write(question); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, maxPacket)
		first.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := first.Read(buf)
		if err != nil || !bytes.Equal(buf[:n], question) {
			t.Fatalf("%d bytes of %d came back: %v", n, size, err)
		}
		ended := time.Now()
		flights = stop()
		return OnLine(flights, began, ended, farLinks.RTT), flights
	}
	trips, flights := ask(2, 1200)
	if trips < 0.99 || trips > 1.02 {
		t.Errorf("a question and its answer take %g round trips", trips)
	}
	if len(flights) != 2 || flights[0].Payload != 1200 || !flights[0].Connects || !flights[0].Out || flights[0].Peer != 1 || flights[1].Out || flights[1].Protocol != protocolUDP {
		t.Errorf("flights: %v", flights)
	}
	if _, flights := ask(3, 1200); len(flights) != 0 {
		t.Errorf("a packet of another host is one of this: %v", flights)
	}
	first.Write(make([]byte, mtu)) // with its headers longer than a packet may be
	if _, flights := ask(2, 100); len(flights) != 2 {
		t.Errorf("flights: %v", flights)
	}
}

// A connection over TCP takes a round trip before it carries anything, and what is sent over
// it arrives whole, at the pace of the slower link.
func TestARelayCarriesConnections(t *testing.T) {
	o := farLinks
	o.Bits = []int64{1e9, 16e6, 1e9, 1e9}
	r := relayed(t, o)
	node, err := net.Listen("tcp4", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	front, err := r.Front(1, TCP, node.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() { // gives all back, once it has ended
		for {
			c, err := node.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			c.Write(b)
			c.Close()
		}
	}()
	echo := func(front string, size int) (trips float64, took time.Duration) {
		t.Helper()
		stop, began := r.Watch(2), time.Now()
		c, err := net.Dial("tcp4", front)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sent := bytes.Repeat([]byte("walrus"), size/6)
		go func() {
			c.Write(sent)
			c.(*net.TCPConn).CloseWrite()
		}()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes of %d came back: %v", len(got), len(sent), err)
		}
		took = time.Since(began)
		return OnLine(stop(), began, time.Now(), o.RTT), took
	}
	if trips, _ := echo(front, 600); trips < 1.9 || trips > 2.3 {
		t.Errorf("a connection, a question and an answer take %g round trips", trips)
	}
	// 1 MB each way takes half a second at 16 Mbit/s.
	if _, took := echo(front, 1_000_000/6*6); took < 900*time.Millisecond {
		t.Errorf("a million bytes there and back took %s", took)
	}
	ledger, err := r.Front(1, Ledger, node.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if trips, took := echo(ledger, 600); trips != 0 || took < 2*o.RTT {
		t.Errorf("what nodes say to each other is %g round trips of a client, and took %s", trips, took)
	}
	node.Close()
	if c, err := net.Dial("tcp4", front); err == nil {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("where nothing listens: %v", err)
		}
		c.Close()
	}
}

// What cannot be imitated is refused, and a relay that is closed carries nothing.
func TestARelaySaysWhatItCannot(t *testing.T) {
	if _, err := NewRelay(Options{Loss: 0.01}, 1); err == nil {
		t.Error("a relay loses packets of TCP")
	}
	r, err := NewRelay(farLinks, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Front(0, QUIC, "no address"); err == nil {
		t.Error("a front of no address")
	}
	front, err := r.Front(0, TCP, loopback+":1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := net.Dial("tcp4", front); err == nil {
		t.Error("a front is open after its relay was closed")
	}
	if _, err := r.Front(0, QUIC, loopback+":1"); err == nil {
		t.Error("a relay that is closed opens a front")
	}
}
