// Package s3 is the S3 door of a gateway: an http.Handler that programs for Amazon S3 use
// unchanged.
//
// The promise: a request that changes something is answered with 200 after the bytes are
// certified on the ledger and the index is on the disk. A body whose hash, checksum, chunk
// signature or length is not what the request says leaves nothing behind.
//
// Buckets and keys exist in the index alone, a database beside the gateway. An object is a
// list of extents, ranges of blobs. The index is stored on the network as an encrypted
// snapshot, so that another machine goes on with the wallet and the recovery key.
//
// Left to others: storing and reading blobs (package blobs), sockets and TLS (the command).
package s3
