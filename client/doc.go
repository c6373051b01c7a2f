// Package client stores and reads blobs: the Go SDK, and the Fetcher with which a
// node repairs.
//
// The promise: Store returns when the ledger holds a certificate, and not before;
// Read gives every byte verified and in order, or an error, never a short or
// wrong one; both go on while up to f shards are silent or lie.
//
// Left to others: what the ledger decides (package ledger), and how its answers are
// checked from afar (package comet).
package client
