package comet

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/ledger/light"
)

// sleeper is an app that stands still while asleep is locked, as a machine does that was
// suspended.
type sleeper struct {
	*app
	asleep *sync.Mutex
}

func (s sleeper) FinalizeBlock(ctx context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	s.asleep.Lock()
	defer s.asleep.Unlock()
	return s.app.FinalizeBlock(ctx, r)
}

// A node that has fallen far behind without a restart finds out, by proof, and ends to be
// opened again; then it fetches blocks in bulk, and is at the tip.
func TestANodeFarBehindFetchesBlocksInBulk(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.Challenged = true
	ctx := within(t)
	m := c.members[3]
	var asleep sync.Mutex
	m.wrap = func(a *app) abci.Application { return sleeper{a, &asleep} }
	c.start(0, 1, 2)
	c.pay(ctx, 0, 0)
	asked := make(chan struct{}, 1000)
	host := c.guest(0, 1, 2)
	lies := true
	newest := func(ctx context.Context) (int64, error) {
		asked <- struct{}{}
		if lies {
			lies = false
			return 0, errors.New("none proves it")
		}
		b, err := light.NewRemote(host, c.genesis, lasting).Newest(ctx)
		if err != nil {
			return 0, err
		}
		return b.Height, nil
	}
	c.newest = newest
	c.start(3)
	c.reach(ctx, 3, c.members[0].chain.machine.Height())
	for !m.chain.AtTip() {
		time.Sleep(50 * time.Millisecond)
	}
	asleep.Lock() // until the node has found out: near nodes hand on a few blocks within a moment
	for m.chain.node.IsRunning() && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	asleep.Unlock()
	if err := m.end(); !errors.Is(err, ErrBehind) {
		t.Fatalf("the node that was behind ended with %v", err)
	}
	m.host.Close()
	m.stop = nil
	if len(asked) < 2 {
		t.Error("the word of a peer was enough")
	}
	// What the network offers now is nearer by blocks than by a snapshot.
	o := c.joinOptions(filepath.Join(m.dir, "ledger"), host)
	o.Behind, o.Least, o.Trust = true, 0, lasting
	if joined, err := Join(ctx, o); joined || err != nil {
		t.Fatalf("joined %v, %v", joined, err)
	}
	behind := m.chain.machine.Height()
	tip := c.members[0].chain.machine.Height()
	began := time.Now()
	c.start(3)
	if m.chain.AtTip() {
		t.Error("the node begins with the agreement, not with blocks in bulk")
	}
	c.reach(ctx, 3, tip)
	t.Logf("%d blocks in %v", tip-behind, time.Since(began))
	c.stop(2)
	c.reach(ctx, 3, c.members[0].chain.machine.Height()+4) // only with this node's votes
}
