// Package registry says which blobs are promised, to whom, until when, and what
// proves that enough nodes hold one. It is values in, values out.
//
// The promise: a blob lives until its last lease ends; a certificate counts only
// with more than two thirds of the shards behind it; what a lease paid is given
// back or earned, to the last FROST; and garbage is only what a record states has
// ended, never what is unknown.
//
// Left to others: whose money it is, and what epoch it is.
package registry
