// Package comet runs the ledger on CometBFT: it translates between the agreement on
// blocks and the state machine of package ledger, and answers the ledger protocol from
// its own chain.
//
// The promise: no rule stands here. A transaction is done when a block holds it.
//
// Left to others: the meaning of a transaction (package ledger), the questions of other
// processes and the checking of answers (package light), the peers that may be asked
// (package p2p).
package comet
