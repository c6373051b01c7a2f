// Package blobs is what all doors of a gateway share: reading blobs by ID through a bounded
// cache on the disk, and storing them through a bounded spool.
//
// The promise: a Reader gives verified bytes or an error, never a short or wrong result. Its
// memory, its cache and the bytes that it asks for ahead are bounded, however many readers
// there are and however slow they are. Many readers of the same bytes cost one fetch. Bytes
// in the cache are served while nodes hold answers back during a challenge. A Writer returns
// when a blob is certified, refuses early what cannot succeed, and leaves nothing of a body
// on its disk.
//
// Left to others: what a door speaks (packages gateway and gateway/s3), the store and its
// payment (package client), the transfer (package fetch).
package blobs
