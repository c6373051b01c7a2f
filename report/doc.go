// Package report works out the figures that people and programs read of a network: the
// ledger's clock and epochs, nodes and their penalties, positions, rewards and returns,
// prices and rules, leases of blobs, how safe a blob is, and how likely the challenges
// find what a node has lost.
//
// The promise: a figure is a value with JSON tags, made by a function over the ledger's
// records (ledger.View). Where a figure also needs the time, or what the nodes answered,
// the caller hands these in. Each field names its unit. Nothing is asked here, nothing is
// printed, and no rule rests on a figure: some are in floating point.
//
// Left to others: the proof that the records are the ledger's (package light), questions
// to the nodes (package fetch), the recomputation of the ledger's own sums (package
// explain), the printing.
package report
