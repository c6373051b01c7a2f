// Package sim drives the real ledger, block by block, through years of a network
// whose nodes fail, lose data and cheat, and says what became of the money.
//
// The promise: no rule is written twice. Pay, slashes, jail, committees and funds are
// what ledger.Local makes of the outcomes and transactions that it is given; what is
// modelled here is conduct alone: when a node is away, what it has dropped, and which
// people move stake or pay for storage. One seed gives one history, to the last FROST.
//
// Left to others: fragments, proofs and the wire (an outcome stands for a challenge),
// and printing (cmd/walrus).
package sim
