// Package adversary holds the nodes of a testnet that break the rules, a kind in each
// file: what each kind wants, what it does, and what the rules make of it.
//
// The promise: an adversary is an honest node with another node.Conduct. It uses what a
// node offers to its conduct, and nothing else, so that production code holds no attack.
//
// Left to others: processes and directories (testnet), and the outcome of each kind on a
// real network (the tests of testnet).
package adversary
