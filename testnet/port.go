package testnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken from below those that the system hands out to outgoing
// connections: a node that is away for a while must find its own free again.
const (
	firstPort = 20_000
	lastPort  = 32_000
	portTries = 1000
)

// given are the ports that this process has found before: their nodes may be about to
// start.
var given sync.Map

// freePorts finds ports that no process uses. All are held until all are found.
func freePorts(n int) ([]int, error) {
	var ports []int
	var last error
	for range portTries {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		defer l.Close()
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("find %d free ports between %d and %d: %w", n, firstPort, lastPort, last)
}
