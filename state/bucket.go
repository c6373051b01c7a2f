package state

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/blake3"

	"github.com/walrus-network/walrus/blob"
)

// Limits of the number of buckets: a power of two between them.
const (
	minBuckets = 2
	maxBuckets = 1 << 24
)

// CheckBuckets says whether a tree may have n buckets.
func CheckBuckets(n int) error {
	if n < minBuckets || n > maxBuckets || n&(n-1) != 0 {
		return fmt.Errorf("%d buckets: must be a power of two from %d to %d", n, minBuckets, maxBuckets)
	}
	return nil
}

// hashKey is the name of a key in the tree: BLAKE3(salt, key). The salt is the
// chain's, so that keys that were ground to lie together on one chain do not on
// another.
func hashKey(salt [32]byte, key []byte) blob.Hash {
	in := append(append(make([]byte, 0, 96), salt[:]...), key...)
	return blake3.Sum256(in)
}

// bucketOf is the bucket of a hashed key: its first eight bytes, big-endian, mod the
// number of buckets.
func bucketOf(key blob.Hash, buckets int) int {
	return int(binary.BigEndian.Uint64(key[:8]) % uint64(buckets))
}

// BucketOf is the bucket of a key.
func BucketOf(salt [32]byte, buckets int, key []byte) int {
	return bucketOf(hashKey(salt, key), buckets)
}
