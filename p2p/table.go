package p2p

import (
	"sync"

	dht "github.com/libp2p/go-libp2p-kad-dht"
)

// table is the DHT, from the first use on: it keeps connections and asks others by itself.
type table struct {
	open func() (*dht.IpfsDHT, error)

	mu     sync.Mutex // guards the fields below
	dht    *dht.IpfsDHT
	closed bool
}

func (t *table) get() (*dht.IpfsDHT, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errHostClosed
	}
	if t.dht == nil {
		opened, err := t.open()
		if err != nil {
			return nil, err
		}
		t.dht = opened
	}
	return t.dht, nil
}

// size is the number of peers in the table.
func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dht == nil {
		return 0
	}
	return t.dht.RoutingTable().Size()
}

func (t *table) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.dht == nil {
		return nil
	}
	return t.dht.Close()
}
