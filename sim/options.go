package sim

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
)

// ErrOptions is returned for options that make no network.
var ErrOptions = errors.New("no such network can be simulated")

// Limits of a simulated network.
const (
	MinNodes = 4 // the least committee of the rules
	MaxNodes = 500
)

// Refuse returns an ErrOptions that says what is wrong.
func Refuse(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrOptions)...)
}

// CheckSize refuses numbers of nodes and shards that make no network.
func CheckSize(nodes, shards int) error {
	switch {
	case nodes < MinNodes || nodes > MaxNodes:
		return Refuse("%d nodes: %d to %d", nodes, MinNodes, MaxNodes)
	case shards < max(nodes, blob.MinShards) || shards > blob.MaxShards:
		return Refuse("%d shards for %d nodes: at least one for each, at most %d", shards, nodes, blob.MaxShards)
	}
	return nil
}

// Params are a real network's, with the money of the simulated people. A simulation sets
// the length of rounds and epochs.
func Params(nodes, shards int) ledger.Params {
	p := ledger.Default()
	p.Shards = shards
	p.Buckets = 1 << 12 // thousands of records, not billions
	p.Subsidy = subsidyPerNode * amount(nodes)
	return p
}
