package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/testnet"
)

// WanRounds is how challenges went between nodes far from each other. A shard-round is one
// shard in one round.
type WanRounds struct {
	Rounds   int     `json:"rounds"`
	Assigned uint64  `json:"assigned"` // shard-rounds that were to be proven
	Passed   uint64  `json:"passed"`
	Part     float64 `json:"part"` // passed / assigned
}

const (
	roundBlock  = 300 * time.Millisecond // nominal; distance adds to it
	roundBlocks = 100                    // of a round
	roundFiles  = 4                      // blobs to be drawn from
)

// challenged makes a network whose rounds are short.
func (o WanOptions) challenged(t *testnet.Options) {
	t.Block, t.Epoch = roundBlock, time.Duration(o.Rounds+2)*roundBlocks*roundBlock
	t.Difference = func(p *ledger.Params) { p.Challenged = true }
}

// rounds waits until enough rounds are over, and counts what passed.
func (b *wanBench) rounds() error {
	home := b.fresh()
	for i := range roundFiles {
		path := filepath.Join(b.dir, fmt.Sprint("round-", i))
		if err := os.WriteFile(path, make([]byte, 1000+i), 0o600); err != nil {
			return err
		}
		if _, err := b.command(home, "store", path, "--json"); err != nil {
			return err
		}
	}
	shards := uint64(testnet.Default().Shards)
	for {
		o, err := b.command(home, "nodes", "--json", "--epochs", strconv.Itoa(b.o.Rounds+1))
		if err != nil {
			return err
		}
		var list struct {
			Nodes []struct {
				Now  struct{ Passed, Assigned uint64 } `json:"passed_now"`
				Past struct{ Passed, Assigned uint64 } `json:"passed_past"`
			} `json:"nodes"`
		}
		if err := json.Unmarshal(o.out.kept.Bytes(), &list); err != nil {
			return err
		}
		r := WanRounds{}
		for _, n := range list.Nodes {
			r.Assigned, r.Passed = r.Assigned+n.Now.Assigned+n.Past.Assigned, r.Passed+n.Now.Passed+n.Past.Passed
		}
		r.Rounds = int(r.Assigned / shards)
		if r.Assigned > 0 {
			r.Part = float64(r.Passed) / float64(r.Assigned)
		}
		b.r.Challenges = &r
		b.say("%d of %d shard-rounds passed", r.Passed, r.Assigned)
		if r.Rounds >= b.o.Rounds {
			return nil
		}
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-time.After(roundBlocks * roundBlock / 2):
		}
	}
}
