// Package economy simulates years of a network whose nodes fail, lose data and cheat, and
// reports the money: pay, slashes, costs and funds.
//
// The promise: the ledger decides every amount. Modelled are conduct alone (when a node is
// away, the fragments that it dropped) and trade: moves of stake, and leases. An outcome
// stands for a challenge, with the numbers of challenge.Default.
//
// Left to others: the ledger and its people (sim), challenges message by message
// (sim/rounds), and printing (cmd/walrus).
package economy
