// Package doctor tells an operator whether a node and its machine are fit to be paid.
//
// The promise: Examine changes nothing of the node, removes its own files, and turns
// every failure into a Check with advice. MeasureOpening and ProofTime tell, before a
// node is entered on the ledger, whether its machine proves its shards in time.
//
// Left to others: running the node (package node) and printing a Diagnosis.
package doctor
