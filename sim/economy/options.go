package economy

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
)

// Options are the network and how its nodes behave.
type Options struct {
	Nodes       int
	Epochs      int       // of two weeks; 26 are a year
	Shards      int       // 0: shardsPerNode * Nodes, at most blob.MaxShards
	Rounds      int       // hours of an epoch; 336 in a real network
	Uptime      []float64 // by node: time online / time, above 0, up to 1
	Drop        []float64 // by node: dropped and undeclared fragments / fragments, 0 to 1
	StorageCost float64   // cost of a shard's fragments / full pay of a shard
	Outages     Outages
	Zones       int     // groups of nodes that fail together; 0: none
	ZoneUptime  float64 // of each zone, as Uptime
	Seed        uint64
}

// shardsPerNode is shards / nodes, as in real networks of this kind: about a thousand shards
// for about a hundred nodes. With one shard a node, a small move of stake would move whole
// nodes in and out.
const shardsPerNode = 10

// Default is a year of n honest nodes with an uptime of 99 %.
func Default(n int) Options {
	o := Options{Nodes: n, Epochs: 26, Rounds: int(ledger.Default().RoundsPerEpoch), Outages: defaultOutages(), ZoneUptime: 0.999, Seed: 1}
	room := min(max(n, 0), sim.MaxNodes) // Validate refuses the rest
	o.Uptime, o.Drop = slices.Repeat([]float64{0.99}, room), make([]float64, room)
	return o
}

// Validate refuses what makes no network, and says what to do.
func (o Options) Validate() error {
	if err := sim.CheckSize(o.Nodes, o.shards()); err != nil {
		return err
	}
	longest := int(ledger.Default().Registry.MaxEpochs) - 1
	switch {
	case o.Epochs < 1 || o.Epochs > longest:
		return sim.Refuse("%d epochs: 1 to %d, the longest lease", o.Epochs, longest)
	case o.Rounds < 8 || o.Rounds > 10_000:
		return sim.Refuse("%d rounds in an epoch: 8 to 10000", o.Rounds)
	case len(o.Uptime) != o.Nodes || len(o.Drop) != o.Nodes:
		return sim.Refuse("%d uptimes and %d drops for %d nodes", len(o.Uptime), len(o.Drop), o.Nodes)
	case o.Zones < 0 || o.Zones > o.Nodes:
		return sim.Refuse("%d zones for %d nodes", o.Zones, o.Nodes)
	case !(o.ZoneUptime > 0 && o.ZoneUptime <= 1):
		return sim.Refuse("uptime %v of zones: above 0, up to 1", o.ZoneUptime)
	case !(o.StorageCost >= 0 && o.StorageCost <= 10):
		return sim.Refuse("storage cost %v: 0 to 10 times what a shard can earn", o.StorageCost)
	}
	for i := range o.Nodes {
		if u := o.Uptime[i]; !(u > 0 && u <= 1) {
			return sim.Refuse("uptime %v of node%d: above 0, up to 1", u, i)
		}
		if p := o.Drop[i]; !(p >= 0 && p <= 1) {
			return sim.Refuse("drop %v of node%d: 0 (keeps all) to 1 (keeps nothing)", p, i)
		}
	}
	if err := o.Outages.validate(); err != nil {
		return sim.Refuse("%v", err)
	}
	return nil
}

// shards is the number of shards.
func (o Options) shards() int {
	if o.Shards != 0 {
		return o.Shards
	}
	return min(o.Nodes*shardsPerNode, blob.MaxShards)
}

// params are a real network's, money included, with one block for each round.
func (o Options) params() ledger.Params {
	p := sim.Params(o.Nodes, o.shards())
	p.Challenged, p.Challenge = true, challenge.Params{} // the simulation enters the outcomes of rounds
	p.BlockMs, p.RoundBlocks, p.RoundsPerEpoch = p.BlockMs*p.RoundBlocks, 1, uint64(o.Rounds)
	return p
}
