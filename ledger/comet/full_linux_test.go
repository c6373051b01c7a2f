package comet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/kv"
)

// smallDisk is a file system of its own for a member, with room for all but the commits
// of a ledger once fill was called, and with room for them again after empty.
func (c *cluster) smallDisk(t *testing.T, i int) (fill, empty func()) {
	t.Helper()
	dir := c.members[i].dir
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small file system to fill")
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=512m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		c.stop(i)
		syscall.Unmount(dir, syscall.MNT_DETACH)
	})
	c.members[i].hurry = make(chan struct{}) // closing waits for room
	filler := filepath.Join(dir, "filler")
	fill = func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		piece := make([]byte, 1<<20)
		for err == nil {
			var free int64
			if free, err = kv.FreeBytes(dir); free < ledgerReserve-4<<20 {
				break
			}
			_, err = f.Write(piece)
		}
		if err != nil {
			t.Error(err)
		}
	}
	return fill, func() {
		t.Helper()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}

// endsFull waits for the end of a member, which says that its disk is full, and makes room
// for its database to be closed.
func (m *member) endsFull(t *testing.T, empty func()) {
	t.Helper()
	<-m.chain.failed
	empty()
	if err := m.end(); !errors.Is(err, ErrFailed) || !errors.Is(err, kv.ErrFull) || !strings.Contains(err.Error(), "make room there") {
		t.Errorf("ended with %v", err)
	}
	m.stop = nil
	m.host.Close()
}

// fills fills a disk at a step of a block by which CometBFT catches up.
type fills struct {
	*app
	at   string
	fill func()
}

func (f *fills) FinalizeBlock(ctx context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	f.reached("before it is worked out")
	return f.app.FinalizeBlock(ctx, r)
}

func (f *fills) Commit(ctx context.Context, r *abci.RequestCommit) (*abci.ResponseCommit, error) {
	f.reached("before its state is kept")
	out, err := f.app.Commit(ctx, r)
	f.reached("after its state was kept")
	return out, err
}

func (f *fills) reached(at string) {
	if f.at == at && f.catchingUp() { // when it opens it may work out the last block once more
		f.at = ""
		f.fill()
	}
}

// The disk of a node is full while it catches up. CometBFT would end the process, this
// test's too; the node stops in order at each step, and goes on when there is room.
func TestANodeWhoseDiskIsFullWhileItCatchesUpStopsInOrder(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.Challenged = true // votes carry extensions
	ctx := within(t)
	m := c.members[3]
	fill, empty := c.smallDisk(t, 3)
	c.start(0, 1, 2, 3)
	c.reach(ctx, 3, 3)
	c.stop(3)
	c.reach(ctx, 0, m.chain.machine.Height()+15)
	for _, at := range []string{"before it is worked out", "before its state is kept", "after its state was kept"} {
		m.wrap = func(a *app) abci.Application { return &fills{a, at, fill} }
		c.start(3)
		m.endsFull(t, empty)
		if m.chain.AtTip() {
			t.Errorf("%s: it had caught up", at)
		}
	}
	m.wrap = nil
	c.start(3)
	c.reach(ctx, 3, c.members[0].chain.machine.Height()+2)
}

// The disk of a node is full while it takes part in the agreement.
func TestANodeWhoseDiskIsFullStopsInOrder(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	ctx := within(t)
	m := c.members[0]
	fill, empty := c.smallDisk(t, 0)
	c.start(0)
	c.reach(ctx, 0, 3)
	fill()
	m.endsFull(t, empty)
	c.start(0)
	c.reach(ctx, 0, m.chain.machine.Height()+2)
}
