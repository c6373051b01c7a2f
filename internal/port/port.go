// Package port finds TCP ports on the loopback interface for the nodes of a network on
// one machine.
//
// The promise: no process listens on a port that is found, this process finds it once
// only, no other process finds it while this one runs, and the system does not hand it out
// to an outgoing connection: a node that is away for a while finds its port free again.
// Another program may take it before the node does.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Range is where ports are looked for.
type Range struct{ First, End int } // ports First to End-1

// The ranges lie below the ports that Linux hands out to outgoing connections (32,768 on).
var (
	Testnets = Range{20_000, 32_000}
	Ledgers  = Range{10_000, 20_000} // of the ledger's own tests
)

// partSize is the ports of a part of a range. A process has a part for itself.
const partSize = 400

// Free finds n ports of a range. All are held until all are found.
func (r Range) Free(n int) ([]int, error) { return here.free(r, n) }

// here is this process.
var here process

// process is what a process may find yet. What it has found before is not found again: the
// nodes of those ports may be about to start, or be away for a while.
type process struct {
	mu   sync.Mutex
	left map[Range][]int // ports of its part, in no order
}

func (p *process) free(r Range, n int) ([]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == nil {
		p.left = map[Range][]int{}
	}
	var ports []int
	for len(ports) < n {
		if len(p.left[r]) == 0 {
			var err error
			if p.left[r], err = claim(r); err != nil {
				return nil, fmt.Errorf("find %d free ports from %d to %d: %w", n, r.First, r.End-1, err)
			}
		}
		port := p.left[r][0]
		p.left[r] = p.left[r][1:]
		l, err := listen(port)
		if err != nil {
			continue // another program has it
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return ports, nil
}

// claimed holds the listeners of claim until the process ends.
var claimed sync.Map

// claim finds a part of a range that no process has. The process that has a part listens on
// the port before it, which belongs to no part.
func claim(r Range) (ports []int, err error) {
	size := min(partSize, r.End-r.First)
	for _, i := range rand.Perm((r.End - r.First) / size) {
		at := r.First + i*size
		l, taken := listen(at)
		if taken != nil {
			err = taken
			continue
		}
		claimed.Store(at, l)
		for _, port := range rand.Perm(size - 1) {
			ports = append(ports, at+1+port)
		}
		return ports, nil
	}
	return nil, fmt.Errorf("processes have all parts: %w", err)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
