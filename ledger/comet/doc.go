// Package comet runs the ledger on CometBFT: it translates between the agreement on
// blocks and the state machine of package ledger, answers the ledger protocol with
// proofs, and is the light client that checks such answers from afar.
//
// The promise: no rule stands here. A transaction is done when a block holds it; a
// remote answer is used only if it leads to a header that more than two thirds of a
// trusted committee signed; a ledger that stands still still answers, with proofs.
//
// Left to others: what a transaction means (package ledger), who may be asked
// (package p2p).
package comet
