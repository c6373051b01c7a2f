package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
)

// ErrOptions is returned for options that make no network.
var ErrOptions = errors.New("no such network can be simulated")

// Options are the network and how its nodes behave.
type Options struct {
	Nodes       int
	Epochs      int       // of two weeks; 26 are a year
	Shards      int       // 0: ShardsPerNode for each node, within what the code allows
	Rounds      int       // in an epoch, each an hour; 336 in a real network
	Uptime      []float64 // by node: part of the time in which it is there, above 0, up to 1
	Drop        []float64 // by node: part of its fragments that it has thrown away and not declared
	StorageCost float64   // of keeping all fragments of a shard, as a part of what a shard can earn
	Outages     Outages
	Zones       int     // places that fail as a whole, each with a part of the nodes; 0: none
	ZoneUptime  float64 // of each of them
	Seed        uint64
}

// ShardsPerNode is what the real networks of this kind have: about a thousand shards for
// about a hundred nodes. With one shard a node, a delegator that moves a little stake
// would move whole nodes in and out.
const ShardsPerNode = 10

// Default is a year of n honest nodes with an uptime of 99 %.
func Default(n int) Options {
	o := Options{Nodes: n, Epochs: 26, Rounds: int(ledger.Default().RoundsPerEpoch), Outages: DefaultOutages(), ZoneUptime: 0.999, Seed: 1}
	room := min(max(n, 0), maxNodes) // Validate refuses the rest
	o.Uptime, o.Drop = slices.Repeat([]float64{0.99}, room), make([]float64, room)
	return o
}

// Limits of what is simulated.
const (
	minNodes = 4 // fewer cannot judge a node
	maxNodes = 500
)

// Validate refuses what makes no network, and says what to do.
func (o Options) Validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf(format+": %w", append(args, ErrOptions)...)
	}
	longest := int(ledger.Default().Registry.MaxEpochs) - 1
	switch {
	case o.Nodes < minNodes || o.Nodes > maxNodes:
		return fail("%d nodes: %d to %d", o.Nodes, minNodes, maxNodes)
	case o.Epochs < 1 || o.Epochs > longest:
		return fail("%d epochs: 1 to %d, the longest lease", o.Epochs, longest)
	case o.Rounds < 8 || o.Rounds > 10_000:
		return fail("%d rounds in an epoch: 8 to 10000", o.Rounds)
	case o.Shards != 0 && (o.Shards < max(o.Nodes, blob.MinShards) || o.Shards > blob.MaxShards):
		return fail("%d shards for %d nodes: at least one for each, at most %d", o.Shards, o.Nodes, blob.MaxShards)
	case len(o.Uptime) != o.Nodes || len(o.Drop) != o.Nodes:
		return fail("%d uptimes and %d drops for %d nodes", len(o.Uptime), len(o.Drop), o.Nodes)
	case o.Zones < 0 || o.Zones > o.Nodes:
		return fail("%d zones for %d nodes", o.Zones, o.Nodes)
	case !(o.ZoneUptime > 0 && o.ZoneUptime <= 1):
		return fail("uptime %v of zones: above 0, up to 1", o.ZoneUptime)
	case !(o.StorageCost >= 0 && o.StorageCost <= 10):
		return fail("storage cost %v: 0 to 10 times what a shard can earn", o.StorageCost)
	}
	for i := range o.Nodes {
		if u := o.Uptime[i]; !(u > 0 && u <= 1) {
			return fail("uptime %v of node%d: above 0, up to 1", u, i)
		}
		if p := o.Drop[i]; !(p >= 0 && p <= 1) {
			return fail("drop %v of node%d: 0 (keeps all) to 1 (keeps nothing)", p, i)
		}
	}
	if err := o.Outages.validate(); err != nil {
		return fail("%v", err)
	}
	return nil
}

// shards is how many there are.
func (o Options) shards() int {
	if o.Shards > 0 {
		return o.Shards
	}
	return min(o.Nodes*ShardsPerNode, blob.MaxShards)
}

// params are those of a real network, with one block for each round. What is in force
// for money is as it is there.
func (o Options) params() ledger.Params {
	p := ledger.Default()
	p.Shards, p.Challenged = o.shards(), true
	p.Challenge = challenge.Params{} // the outcomes of rounds are entered from here
	p.BlockMs, p.RoundBlocks, p.RoundsPerEpoch = p.BlockMs*p.RoundBlocks, 1, uint64(o.Rounds)
	p.Buckets = 1 << 12 // thousands of records, not billions
	p.Subsidy = subsidyPerNode * amount(o.Nodes)
	return p
}
