package comet

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// vote has all members ask for something.
func (c *cluster) vote(t *testing.T, v ledger.Vote) {
	t.Helper()
	for i, n := range c.genesis.Nodes {
		v.Node = n.ID
		r, err := c.members[0].chain.Submit(within(t), ledger.Sign(c.wallet, c.genesis.ChainID(), uint64(i), token.WAL/10, v))
		if err == nil {
			err = r.Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// All four end, none is left waiting for the last votes of the others, and each says
// what to install; opened again, with a block that was agreed on and not worked out, it
// says so too. No directory is to be moved away.
func TestAllStopBeforeRulesTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.RoundBlocks, c.genesis.Params.RoundsPerEpoch = 12, 1
	c.start(0, 1, 2, 3)
	c.vote(t, ledger.Vote{Version: ledger.Newest + 1})
	for i, m := range c.members {
		err := m.end()
		m.stop = nil
		m.host.Close()
		if !errors.Is(err, ledger.ErrRules) || !strings.Contains(err.Error(), "install a release that knows rules") || saysWhatToDo(err) {
			t.Errorf("node %d ended with %v", i, err)
		}
		if h := m.chain.machine.Height(); h != 24 {
			t.Errorf("node %d stopped after block %d, the epoch ends with 24", i, h)
		}
		_, err = Open(Options{Dir: filepath.Join(m.dir, "ledger"), KeyDir: m.dir, Genesis: c.genesis, Key: m.secret.Key(), Listen: m.addr, Peers: c.peers, Log: quiet()})
		if !errors.Is(err, ledger.ErrRules) || saysWhatToDo(err) {
			t.Errorf("node %d opened again: %v", i, err)
		}
	}
}
