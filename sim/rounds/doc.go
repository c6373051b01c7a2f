// Package rounds simulates challenges block by block, and reports how soon a dropper is
// caught, and how lost messages and crashes hurt honest nodes.
//
// The promise: reveals, draws, questions, votes, tallies and the ladder are the ledger's
// own. Modelled are the nodes alone: the fragments that they hold, when they are up, and
// which of their messages arrive.
//
// Left to others: the ledger and its people (sim), years and money (sim/economy), proofs
// and the wire (challenge, p2p), and printing (cmd/walrus).
package rounds
