// Package node keeps what it promised: it takes uploads and confirms them, serves
// fragments, repairs what it lacks, drops what the ledger says has ended, and tells
// its operator how it is.
//
// The promise: a confirmation is signed only when every fragment of the blob was
// verified and is durable, and the ledger shows a live registration; nothing is
// deleted that the ledger does not state has ended.
//
// Recovery is one loop: duty minus possession is work, after a crash, a new shard, a
// straggler's upload or a rotten sector alike. No message asks for a repair.
//
// Left to others: what the ledger decides (package ledger), how it agrees (comet).
package node
