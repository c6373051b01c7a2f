package rounds

import (
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
)

// Options are the network, and the faults of its nodes and lines.
type Options struct {
	Nodes   int     `json:"nodes"`
	Shards  int     `json:"shards"`
	Blobs   int     `json:"blobs"`
	Rounds  int     `json:"rounds"` // in an epoch
	Epochs  int     `json:"epochs"`
	Drop    float64 `json:"drop"`    // node0's dropped and undeclared fragments / its fragments
	Loss    float64 `json:"loss"`    // lost messages / messages: proofs, pulls, votes
	Crashes int     `json:"crashes"` // of each node in an epoch, each as long as a sixth of a round
	Seed    uint64  `json:"seed"`
}

// roundBlocks is the shortest round that challenges fit into: blocks in which nothing
// happens are not simulated.
const roundBlocks = 70

// Validate refuses options that make no network, and says what to do.
func (o Options) Validate() error {
	if err := sim.CheckSize(o.Nodes, o.Shards); err != nil {
		return err
	}
	switch {
	case o.Blobs < 1 || o.Blobs > 100_000:
		return sim.Refuse("%d blobs: 1 to 100000", o.Blobs)
	case o.Rounds < 1 || o.Rounds > 1000 || o.Epochs < 1 || o.Epochs > 100:
		return sim.Refuse("%d rounds in each of %d epochs: 1 to 1000 in 1 to 100", o.Rounds, o.Epochs)
	case !(o.Drop >= 0 && o.Drop <= 1):
		return sim.Refuse("drop %v: 0 (keeps all) to 1 (keeps nothing)", o.Drop)
	case !(o.Loss >= 0 && o.Loss < 1):
		return sim.Refuse("loss %v: from 0 to below 1", o.Loss)
	case o.Crashes < 0 || o.Crashes > o.Rounds:
		return sim.Refuse("%d crashes in an epoch of %d rounds: at most one a round", o.Crashes, o.Rounds)
	}
	return nil
}

// params are a real network's, but for the length of rounds and epochs.
func (o Options) params() ledger.Params {
	p := sim.Params(o.Nodes, o.Shards)
	p.RoundBlocks, p.RoundsPerEpoch = roundBlocks, uint64(o.Rounds)
	p.Challenge, _ = challenge.Fitting(roundBlocks)
	return p
}

// leaseEpochs is the lease of every blob: it outlasts the simulation.
func (o Options) leaseEpochs() int { return o.Epochs + 3 }
