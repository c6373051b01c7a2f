// Package port finds TCP ports on the loopback interface for the nodes of a network on
// one machine.
//
// The promise: no process listens on a port that is found, this process finds it once
// only, and the system does not hand it out to an outgoing connection: a node that is away
// for a while finds its port free again. Another process may take it before the node does.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Range is where ports are looked for. Packages whose tests run at the same time look in
// ranges that do not overlap.
type Range struct{ First, End int } // ports First to End-1

// The ranges lie below the ports that Linux hands out to outgoing connections (32,768 on).
var (
	Testnets = Range{20_000, 32_000}
	Ledgers  = Range{10_000, 20_000} // of the ledger's own tests
)

const tries = 1000

// found are the ports that this process has found before: their nodes may be about to
// start.
var found sync.Map

// Free finds n ports of a range. All are held until all are found.
func (r Range) Free(n int) ([]int, error) {
	var ports []int
	var last error
	for range tries {
		if len(ports) == n {
			return ports, nil
		}
		port := r.First + rand.IntN(r.End-r.First)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		defer l.Close()
		if _, before := found.LoadOrStore(port, true); !before {
			ports = append(ports, port)
		}
	}
	return nil, fmt.Errorf("find %d free ports from %d to %d: %w", n, r.First, r.End-1, last)
}
