// Package light asks nodes about the ledger and checks their answers: it follows the
// chain's signed headers, verifies proofs of the state against them, submits
// transactions, and makes and checks receipts of blobs. It runs no agreement.
//
// The promise: an answer is used only if it leads to a header that more than two thirds
// of a trusted committee signed, and a transaction is done only when the ledger's records
// show it. A ledger that stands still is still read, with proofs.
//
// The answering side of the protocol is here too (Responder), so that both sides share
// one definition of each message.
//
// Left to others: the agreement that signs the headers (ledger/comet), the meaning of a
// transaction (package ledger), the streams that carry questions (package p2p).
package light
