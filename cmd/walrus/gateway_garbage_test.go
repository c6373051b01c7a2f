package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// Garbage is collected once after the last of several requests, and only where there is some.
func TestGarbageIsCollectedWhenRequestsHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const live = 3 * idleGrowth
		inUse, collected := int64(live+idleGrowth), 0
		c := &idleCollector{inUse: func() int64 { return inUse }, collect: func() { collected++; inUse = live }}
		want := func(n int, when string) {
			t.Helper()
			synctest.Wait()
			if collected != n {
				t.Fatalf("%d collections %s, want %d", collected, when, n)
			}
		}
		for range 5 {
			c.watch(nil, http.StateActive)
			c.watch(nil, http.StateIdle)
			time.Sleep(idleFor - time.Millisecond) // virtual, as all here: the time of rest is what is tested
			want(0, "between requests")
		}
		time.Sleep(2 * time.Millisecond)
		want(1, "after the last one")
		inUse = live + idleGrowth
		time.Sleep(time.Hour)
		want(1, "without a request")
		inUse--
		c.watch(nil, http.StateClosed)
		time.Sleep(2 * idleFor)
		want(1, "with little garbage")
		inUse++
		c.watch(nil, http.StateClosed)
		time.Sleep(2 * idleFor)
		want(2, "with more of it")
		inUse = live + idleGrowth
		c.watch(nil, http.StateClosed)
		c.stop()
		time.Sleep(2 * idleFor)
		want(2, "after the end")
	})
}

// What is allocated and dropped is in use until it is collected.
func TestACollectionGivesBackWhatWasDropped(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it is collected here alone
	c := newIdleCollector()
	c.collect()
	var kept []byte
	for range 2 * idleGrowth >> 20 {
		kept = make([]byte, 1<<20)
	}
	before := c.inUse()
	c.rest()
	if c.least > before-idleGrowth {
		t.Errorf("%d bytes in use, %d after a collection; %d were dropped", before, c.least, 2*idleGrowth-len(kept))
	}
}

// The end of a request is told on a connection that stays, and on one that does not.
func TestTheEndOfARequestIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	told := make(chan http.ConnState, 16)
	ended := make(chan error, 1)
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	go func() {
		ended <- serveHTTP(ctx, l, hello, nil, func(_ net.Conn, s http.ConnState) {
			if s == http.StateIdle || s == http.StateClosed {
				told <- s
			}
		})
	}()
	for _, keep := range []bool{true, false} {
		web := &http.Client{Transport: &http.Transport{DisableKeepAlives: !keep}}
		resp, err := web.Get("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if s := <-told; keep && s != http.StateIdle {
			t.Errorf("keep %v: %v", keep, s)
		}
		web.CloseIdleConnections()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
