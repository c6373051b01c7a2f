package main

import (
	"net"
	"net/netip"
	"sync"
)

// Bounds of a gateway's connections, at all its doors together.
const (
	mostConnections      = 8192
	connectionsOfAddress = 256
)

// crowd counts the connections of a gateway, so that one address cannot take all of them. Those
// from this machine count for none: a proxy hands the connections of all on, and is there to
// bound them.
type crowd struct {
	most, each int

	mu   sync.Mutex // guards the fields below
	all  int
	from map[netip.Prefix]int // by the address that counts
}

func newCrowd(most, each int) *crowd {
	return &crowd{most: most, each: each, from: map[netip.Prefix]int{}}
}

// countsAs is what a connection from an address counts for: an address of IPv4, or a network of
// 64 bits of IPv6, which one host has for itself. ok is false where it counts for none.
func countsAs(a net.Addr) (p netip.Prefix, ok bool) {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil || at.Addr().Unmap().IsLoopback() {
		return p, false
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err = ip.Prefix(bits)
	return p, err == nil
}

// enter takes a place for a connection. ok is false where there is none.
func (c *crowd) enter(a net.Addr) (leave func(), ok bool) {
	from, counts := countsAs(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || counts && c.from[from] >= c.each {
		return nil, false
	}
	c.all++
	if counts {
		c.from[from]++
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if counts {
			if c.from[from]--; c.from[from] == 0 {
				delete(c.from, from)
			}
		}
	}), true
}

// crowded is a listener that closes connections for which a crowd has no place.
type crowded struct {
	net.Listener
	crowd *crowd
}

// Accept gives the next connection that has a place.
func (l crowded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave, ok := l.crowd.enter(c.RemoteAddr()); ok {
			return &counted{c, leave}, nil
		}
		c.Close()
	}
}

// counted is a connection that has a place until it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
