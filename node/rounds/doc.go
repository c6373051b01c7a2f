// Package rounds takes a node's part in the storage challenges: it proves the node's
// shards, checks the proofs of others, attests what it received, keeps answers back
// while a challenge runs, and shows proofs in disputes.
//
// The promise: Run ends with its context, and nothing of it runs afterwards. An honest
// node attests a proof only if it has checked it, and keeps it as long as the ledger
// keeps the round.
//
// Left to others: the fragments (a challenge.Source), the ledger and its rules, and
// repair after a loss. What a node of a testnet does otherwise is a Conduct.
package rounds
