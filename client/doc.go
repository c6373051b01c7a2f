// Package client stores blobs, pays for them and submits transactions: the Go SDK. It
// reads with the Fetcher of package fetch, which a Client embeds.
//
// The promise: Store returns when the ledger holds a certificate, and not before, and
// succeeds while up to f shards are silent or lie. What Read promises, package fetch
// says.
//
// Any number of goroutines may call Store on one Client: the stores take turns at the nodes,
// share nonces and pay ahead, so that hundreds of small blobs take a few blocks. Together they
// keep encoded stripes in memory meanwhile, up to KeepAtMost, and each a few that are on their
// way: the caller bounds how many run.
//
// Examples that run stand in package testnet, which brings the network that they need.
//
// Left to others: the rules of the ledger (package ledger), the checks of its answers
// (package light), and the transfer of verified bytes (package fetch).
package client
