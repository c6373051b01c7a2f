// Package demo shows on the processes of a testnet that a blob survives: nodes are killed,
// blobs are stored and read meanwhile, a disk is wiped, and the network heals.
//
// The promise: the demo does what any client and operator can do, and each step is checked.
// The nodes end in every case.
//
// Left to others: processes and invariants (testnet), and printing of the result
// (cmd/walrus).
package demo
