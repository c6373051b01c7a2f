// Package blob holds the values of stored data: hashes and Merkle trees, the
// shape of the code, IDs, manifests, commitments, proofs, and the two types that
// stand for checked bytes.
//
// The promise: a VerifiedFragment or a FullFragment exists only if its bytes were hashed here and
// lead to a committed root; no other package can make one.
//
// Left to others: the arithmetic of the erasure code (package redstuff hands it in
// as an Extender), disks, wires, and what anything is worth.
package blob
