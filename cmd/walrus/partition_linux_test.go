package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/node"
)

// A network of seven is cut in the ways that lines fail in, and goes on as soon as it is
// whole: the ledger within seconds, each node's tip soon after.
func TestANetworkThatWasCutGoesOn(t *testing.T) {
	testlevel.Whole(t, "cuts a network of nodes in network namespaces")
	home(t)
	h := newHosts(t)
	const nodes = 7
	_, dirs := h.found(nodes)
	for _, dir := range dirs {
		h.status(dir, "the node has blocks", func(s node.Status) bool { return s.Height >= 3 && s.LedgerPeers == nodes-1 })
	}
	all := func(count int) (out [][2]int) { // the first count hear nothing of the others, and they nothing of these
		for a := range count {
			for b := count; b < nodes; b++ {
				out = append(out, [2]int{a, b}, [2]int{b, a})
			}
		}
		return out
	}
	for _, c := range []struct {
		name string
		deaf [][2]int // a node, and one that it does not hear
		goes bool     // the ledger goes on meanwhile
	}{
		{"four of seven and three", all(4), false},
		{"five of seven and two", all(5), true},
		{"one way: three nodes hear none of the others", all(4)[:0:0], false},
		{"pairs that do not hear each other", [][2]int{{0, 1}, {1, 0}, {2, 3}, {3, 2}, {4, 5}, {5, 4}}, true},
	} {
		if len(c.deaf) == 0 {
			for a := 4; a < nodes; a++ {
				for b := range 4 {
					c.deaf = append(c.deaf, [2]int{a, b})
				}
			}
		}
		drops := make([][]string, nodes)
		for _, d := range c.deaf {
			drops[d[0]] = append(drops[d[0]], fmt.Sprintf("45.0.0.%d", d[1]+1))
		}
		for i, list := range drops {
			h.firewall(fmt.Sprint("n", i), list...)
		}
		tip := h.highest(dirs)
		time.Sleep(15 * time.Second) // as long as the cut lasts: connections must notice it, by the clock of the kernel
		for c.goes && h.highest(dirs) <= tip+4 {
			if h.ctx.Err() != nil {
				t.Fatalf("%s: from block %d to %d", c.name, tip, h.highest(dirs))
			}
			time.Sleep(200 * time.Millisecond) // between two looks
		}
		if got := h.highest(dirs); !c.goes && got > tip+4 {
			t.Errorf("%s: from block %d to %d in 15 s", c.name, tip, got)
		}
		cut := h.highest(dirs)
		for i := range nodes {
			h.firewall(fmt.Sprint("n", i))
		}
		healed := time.Now()
		h.status(dirs[0], c.name+": the ledger goes on", func(s node.Status) bool { return uint64(s.Height) > cut+1 })
		ledger := time.Since(healed)
		for _, dir := range dirs {
			h.status(dir, c.name+": each node is at the tip", func(s node.Status) bool { return s.AtTip && uint64(s.Height) > cut+1 })
		}
		t.Logf("%s: after the cut the ledger went on within %.1f s, the last node within %.1f s", c.name, ledger.Seconds(), time.Since(healed).Seconds())
	}
}

// highest is the highest block that a node has.
func (h *hosts) highest(dirs []string) (most uint64) {
	for _, dir := range dirs {
		if s, err := node.AskStatus(h.ctx, dir); err == nil {
			most = max(most, uint64(s.Height))
		}
	}
	return most
}
