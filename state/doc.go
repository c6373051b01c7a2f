// Package state keeps the ledger's keys: flat keys and values, a bucketed Merkle
// tree over them, proofs of membership and of absence, and snapshots.
//
// The promise: a commit is there whole or not at all, wherever a crash cuts it;
// the root depends on the keys and values alone, never on how they came to be; the
// two versions before the last one can still be read and proven, so that a halted
// ledger answers with proofs and no query waits for a block.
//
// Left to others: what the keys mean, and the disk (a KV).
package state
