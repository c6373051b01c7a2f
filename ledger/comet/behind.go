package comet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/types"
)

// ErrBehind is returned by Run where the ledger is far behind the network's: CometBFT's
// agreement takes one block at a time, some a second. Call Join, which fetches a snapshot if
// that is quicker, open the ledger again, and it fetches blocks in bulk. Nothing is broken.
var ErrBehind = errors.New("the ledger is far behind the network's")

// How far behind is far, and how often a node looks.
const (
	farBehind   = 50
	behindEvery = 5 * time.Second
	behindLimit = 20 * time.Second // for the proof that there are newer blocks
	stillBlocks = 20               // blocks' time without a block, after which a node asks
	stillLimit  = time.Minute      // without a block, after which fetching blocks in bulk has failed too
)

// watchBehind ends with ErrBehind once the ledger is far behind. What peers claim only makes
// the node ask for proof: a liar makes it ask, and no more.
func (c *Chain) watchBehind(ctx context.Context) error {
	if c.options.Newest == nil {
		<-ctx.Done()
		return nil
	}
	far := cmp.Or(c.options.far, farBehind)
	was, since := c.machine.Height(), time.Now()
	for sleep(ctx, behindEvery) {
		height := c.machine.Height()
		if height != was {
			was, since = height, time.Now()
		}
		// A node at the tip asks where peers claim more, or where no block comes: it may not
		// hear of them. Blocks that come in bulk are left to come, unless none comes: the nodes
		// may have pruned those that this one lacks.
		quiet := stillLimit
		if c.AtTip() {
			quiet = min(quiet, max(stillBlocks*time.Duration(c.options.Genesis.Params.BlockMs)*time.Millisecond, behindEvery))
		}
		if time.Since(since) < quiet && (!c.AtTip() || c.claimed() < int64(height)+far) {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, behindLimit)
		newest, err := c.options.Newest(asking)
		cancel()
		if err != nil {
			c.options.Log.Debug("peers claim newer blocks, and none proves one", "err", err)
			continue
		}
		if now := c.machine.Height(); newest >= int64(now)+far && (c.AtTip() || now == was) {
			return fmt.Errorf("it has %d blocks, the network %d: %w", now, newest, ErrBehind)
		}
	}
	return nil
}

// claimed is the greatest height that a peer of the agreement says it has.
func (c *Chain) claimed() (height int64) {
	for _, p := range c.sw.Peers().Copy() {
		if state, ok := p.Get(types.PeerStateKey).(*consensus.PeerState); ok {
			height = max(height, state.GetHeight()-1) // it works on the next
		}
	}
	return height
}
