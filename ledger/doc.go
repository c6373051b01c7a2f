// Package ledger is the rule book: one deterministic state machine over package
// state. Blocks of transactions go in; accounts, stake, blobs, committees and an app
// hash come out.
//
// The promise: the same genesis and the same blocks give the same app hash
// everywhere; no rule makes or loses a FROST; a transaction either does all it says
// or changes nothing; what was validated can be applied.
//
// Left to others: the order of transactions and the agreement on it (ledger/comet,
// or Local), the clock, the disk, the network.
package ledger
