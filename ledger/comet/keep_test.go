package comet

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/store"

	"github.com/walrus-network/walrus/ledger"
)

func TestFewBlocksAreRefused(t *testing.T) {
	p := ledger.Default()
	if least := LeastBlocks(p); least <= int64(p.EvidenceBlocks()) || DefaultBlocks(p) <= least {
		t.Errorf("least %d, default %d, and faults can be punished for %d blocks", least, DefaultBlocks(p), p.EvidenceBlocks())
	}
	_, err := newHeaderKeeper(nil, nil, Options{Genesis: ledger.Genesis{Params: p}, KeepBlocks: LeastBlocks(p) - 1})
	if err == nil || !strings.Contains(err.Error(), "at least") {
		t.Errorf("too few blocks: %v", err)
	}
}

// Nodes that have pruned their blocks still lead a client from the genesis to the tip, and
// one that joins by a snapshot does so too, alone.
func TestPrunedBlocksLeaveTheWayFromTheGenesis(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.RoundBlocks, c.genesis.Params.RoundsPerEpoch = 8, 1 // faults are old after a few blocks
	c.keep = 20
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.pay(ctx, 0, 0)
	c.reach(ctx, 0, 101)
	c.reach(ctx, 1, 101)
	blocks := c.members[0].chain.node.BlockStore()
	if base := blocks.Base(); base < 70 {
		t.Fatalf("at block 101 of which 20 are kept the first is %d", base)
	}
	if blocks.LoadBlockMeta(20) != nil || blocks.LoadBlockCommit(20) != nil || blocks.LoadBlockExtendedCommit(20) != nil {
		t.Error("parts of block 20 are still there")
	}
	disk := store.NewBlockStore(newCometDisk(c.members[0].chain.db, "blockstore", nil))
	if disk.LoadSeenCommit(95) != nil || disk.LoadBlockCommit(95) == nil {
		t.Error("the signatures under block 95 are kept twice, or not at all")
	}
	if _, err := c.members[0].chain.states.LoadValidators(20); err == nil {
		t.Error("the committee of block 20 is still there")
	}
	kept, more, err := c.members[0].chain.History(1, 1<<20)
	if err != nil || more || len(kept) < 10 || len(kept) > 40 {
		t.Errorf("%d headers of 100 are kept, an epoch has 8 blocks: %v", len(kept), err)
	}
	c.remoteReads(ctx, 0)

	dir := filepath.Join(t.TempDir(), "ledger")
	o := c.joinOptions(dir, c.guest(0))
	o.Trust = lasting
	o.Least = 1 << 20 // so many that only the lack of blocks counts
	o.Genesis.Time = c.genesis.Time
	joiner := joiner{JoinOptions: o, least: 1 << 20}
	if joined, err := joiner.try(ctx); err != nil || !joined {
		t.Fatalf("joined %v, %v: no node has the first blocks", joined, err)
	}
	c.stop(3)
	c.members[3].dir = filepath.Dir(dir)
	c.start(3)
	c.reach(ctx, 3, c.members[0].chain.machine.Height()+2)
	c.remoteReads(ctx, 3)
}
