package testnet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/unit"
)

// Healed waits until every node runs at the ledger's tip and lacks nothing of its
// duty there.
func (t *Testnet) Healed(ctx context.Context) ([]node.Status, error) {
	target := unit.Height(0) // a height that was reached when all were up: all blobs are known there
	list := make([]node.Status, t.Nodes)
	for {
		up, whole, tip := true, true, unit.Height(0)
		for i := range list {
			s, err := t.Status(ctx, i)
			if err != nil {
				up = false
				continue
			}
			list[i], tip = s, max(tip, s.Height)
			up = up && s.AtTip
			whole = whole && target > 0 && s.Recovery.LookedAt >= target && s.Recovery.BacklogBlobs == 0 && len(s.Moving) == 0
		}
		if up && whole {
			return list, nil
		}
		if up && target == 0 {
			target = tip
		}
		if ctx.Err() != nil {
			return list, fmt.Errorf("not healed in time: %s", backlogs(list))
		}
		wait(ctx, 50*time.Millisecond)
	}
}

func backlogs(list []node.Status) string {
	var b bytes.Buffer
	for i, s := range list {
		fmt.Fprintf(&b, "node %d at height %d lacks %d bytes of %d blobs; ", i, s.Height, s.Recovery.BacklogBytes, s.Recovery.BacklogBlobs)
	}
	return b.String()
}

// LastLine is the last line of node i's log, for an error.
func (t *Testnet) LastLine(i int) string {
	b, err := os.ReadFile(t.logFile(i))
	if err != nil {
		return err.Error()
	}
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}
