package comet

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/unit"
)

// BenchmarkCatchUp has a validator make 10,000 blocks as fast as it can, or as many as
// WALRUS_CATCH_UP says, while a node without shards stands still in the middle of a block, its
// process alive. Then the validator stands still, and the other finds out, by proof, that it
// is far behind, opens its ledger again as the daemon does, and fetches the blocks in bulk. Both
// run in one process; a block has no transaction. Run it with -benchtime 1x.
func BenchmarkCatchUp(b *testing.B) {
	blocks := 10_000
	if v := os.Getenv("WALRUS_CATCH_UP"); v != "" {
		var err error
		if blocks, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		catchUp(b, unit.Height(blocks))
	}
}

func catchUp(b *testing.B, blocks unit.Height) {
	ctx := b.Context()
	c := newCluster(b, 2)
	c.keep = KeepAll
	c.genesis.Params.BlockMs = 1
	c.genesis.Nodes[1].Bond = c.genesis.Params.Staking.MinBond // too little for a shard
	ahead, m := c.members[0], c.members[1]
	var halted, asleep sync.Mutex
	ahead.wrap = func(a *app) abci.Application { return sleeper{a, &halted} }
	m.wrap = func(a *app) abci.Application { return sleeper{a, &asleep} }
	c.start(0)
	remote := light.NewRemote(c.guest(0), c.genesis, lasting)
	c.newest = func(ctx context.Context) (int64, error) {
		asleep.Lock() // then nothing of the node moves
		defer asleep.Unlock()
		newest, err := remote.Newest(ctx)
		if err != nil {
			return 0, err
		}
		return newest.Height, nil
	}
	c.start(1)
	c.reach(ctx, 1, 3)
	asleep.Lock()
	began := time.Now()
	c.reach(ctx, 0, m.chain.machine.Height()+blocks)
	b.ReportMetric(time.Since(began).Seconds()*1000/float64(blocks), "ms-to-make-a-block")
	halted.Lock()
	tip := ahead.chain.machine.Height() - 1 // the newest block is taken with the one after it

	asleep.Unlock()
	began = time.Now()
	if err := m.end(); !errors.Is(err, ErrBehind) {
		b.Fatalf("the node that was behind ended with %v", err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "s-to-find-out")
	m.host.Close()
	m.stop = nil
	from := m.chain.machine.Height()
	began = time.Now()
	c.start(1)
	c.reach(ctx, 1, from+1)
	b.ReportMetric(time.Since(began).Seconds(), "s-to-first-block")
	began, from = time.Now(), m.chain.machine.Height()
	var heap [2]uint64 // at most, in the first half of the way and in the second
	for half := range heap {
		for m.chain.machine.Height() < from+(tip-from)*unit.Height(half+1)/2 {
			time.Sleep(20 * time.Millisecond) // between two looks at the heap
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			heap[half] = max(heap[half], now.HeapInuse)
		}
	}
	b.ReportMetric(float64(tip-from)/time.Since(began).Seconds(), "blocks/s")
	b.ReportMetric(float64(heap[0])/(1<<20), "MiB-first-half")
	b.ReportMetric(float64(heap[1])/(1<<20), "MiB-second-half")
	b.ReportMetric(0, "ns/op")
	halted.Unlock()
	for i := range c.members {
		c.stop(i)
	}
}
