package main

import (
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// gatewayMemory is the bytes of memory beyond which a gateway's process collects garbage more
// often. It is no limit: what is in use stays. 83 MiB of it are the tables in memory of its two
// databases, of which few pages are ever touched; a large read holds 64 MiB until the cache is
// written, and what it does beside has the rest.
const gatewayMemory = 188 << 20

// idleCollector collects garbage while no request needs the processors. A collection in the
// middle of a read costs it more than the work: each stops all goroutines twice, and where
// every processor is busy a stop waits for threads that the system does not run.
type idleCollector struct {
	inUse   func() int64 // bytes of memory, garbage included
	collect func()

	mu    sync.Mutex  // guards timer
	timer *time.Timer // nil: no request has ended yet

	resting sync.Mutex // guards least
	least   int64      // bytes in use after the last collection in a moment of rest
}

const (
	// idleFor is how long no request may have ended before garbage is collected: what a read
	// has fetched goes into the cache first.
	idleFor = 250 * time.Millisecond
	// idleGrowth is the bytes by which more must be in use than after the last collection in a
	// moment of rest. What a collection in the middle of a request found in use is garbage too
	// once the request has ended.
	idleGrowth = 32 << 20
)

func newIdleCollector() *idleCollector {
	return &idleCollector{inUse: heapBytes, collect: runtime.GC}
}

// watch is told the states of connections.
func (c *idleCollector) watch(_ net.Conn, state http.ConnState) {
	if state == http.StateIdle || state == http.StateClosed {
		c.requestEnded()
	}
}

func (c *idleCollector) requestEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil {
		c.timer = time.AfterFunc(idleFor, c.rest)
		return
	}
	c.timer.Reset(idleFor)
}

func (c *idleCollector) rest() {
	c.resting.Lock()
	defer c.resting.Unlock()
	if c.inUse() >= c.least+idleGrowth {
		c.collect()
		c.least = c.inUse()
	}
}

// stop ends the waiting for a moment of rest. No request ends after it.
func (c *idleCollector) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// heapBytes is the bytes of objects in the heap, garbage that is not freed yet included.
func heapBytes() int64 {
	of := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(of)
	return int64(of[0].Value.Uint64())
}
