package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// One address takes only its part of a gateway's connections; so does a network of IPv6. What
// comes from this machine is bounded by the whole alone, and a place that was left is free.
func TestOneAddressDoesNotTakeAllConnections(t *testing.T) {
	c := newCrowd(500, 100)
	fill := func(address func(i int) string, n, want int) (leaves []func()) {
		t.Helper()
		for i := range n {
			a, err := net.ResolveTCPAddr("tcp", address(i))
			if err != nil {
				t.Fatal(err)
			}
			if leave, ok := c.enter(a); ok {
				leaves = append(leaves, leave)
			}
		}
		if len(leaves) != want {
			t.Errorf("%s: %d of %d connections, want %d", address(0), len(leaves), n, want)
		}
		return leaves
	}
	silent := fill(func(int) string { return "203.0.113.7:1000" }, 500, 100)
	fill(func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1000", i+1) }, 500, 100)
	fill(func(int) string { return "203.0.113.8:1000" }, 50, 50)
	fill(func(int) string { return "[::ffff:203.0.113.8]:1000" }, 100, 50) // the same one
	fill(func(int) string { return "127.0.0.1:1000" }, 300, 200)
	for _, leave := range silent {
		leave()
		leave() // a connection is closed twice
	}
	fill(func(int) string { return "203.0.113.9:1000" }, 200, 100)
	if len(c.from) != 3 {
		t.Errorf("%d addresses are counted", len(c.from))
	}
}

// named is a listener whose connections come from the addresses that a test names, in order.
type named struct {
	net.Listener
	addresses chan net.Addr
}

type namedConn struct {
	net.Conn
	from net.Addr
}

func (c namedConn) RemoteAddr() net.Addr { return c.from }

func (l named) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return namedConn{c, <-l.addresses}, nil
}

// 500 silent connections of one address leave a gateway to all others.
func TestSilentConnectionsLeaveOthersUntouched(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := named{inner, make(chan net.Addr, 1)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serveHTTP(ctx, crowded{l, newCrowd(100, 50)}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "OK") }), nil, nil)
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		l.addresses <- &net.TCPAddr{IP: net.ParseIP(from), Port: 1}
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(commandLimit))
		return c
	}
	var silent []net.Conn
	for range 500 {
		silent = append(silent, dial("203.0.113.7"))
	}
	for i := range 40 {
		c := dial(fmt.Sprintf("203.0.113.%d", 100+i))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("another client, %d: %v", i, err)
		}
	}
	for _, c := range silent[50:] {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a connection too many stays: %v", err)
		}
	}
	for _, c := range silent {
		c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
