// Package sim is the network that the simulations run on: the real ledger with made-up
// people, whose keys and money are the same in every simulation.
//
// The promise: no rule is written twice. Pay, slashes, jail, committees and funds are
// ledger.Local's answer to the blocks that a simulation gives it, and a refused
// transaction is an error. One seed gives one history, to the last FROST.
//
// Left to others: years of outages, cheats and money (sim/economy), the messages of
// single rounds (sim/rounds), fragments and the wire (node, p2p), and printing
// (cmd/walrus).
package sim
