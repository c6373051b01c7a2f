package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/zeebo/blake3"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// Limits of the number of buckets: a power of two between them.
const (
	MinBuckets = 2
	MaxBuckets = 1 << 24
)

// CheckBuckets says whether a tree may have n buckets.
func CheckBuckets(n int) error {
	if n < MinBuckets || n > MaxBuckets || n&(n-1) != 0 {
		return fmt.Errorf("%d buckets: must be a power of two from %d to %d", n, MinBuckets, MaxBuckets)
	}
	return nil
}

// BucketOf is the bucket of a key: the first eight bytes of BLAKE3(salt, key),
// big-endian, mod the number of buckets. The salt is the chain's, so that keys
// that were ground to share a bucket on one chain do not on another.
func BucketOf(salt [32]byte, buckets int, key []byte) int {
	in := append(append(make([]byte, 0, 32+len(key)), salt[:]...), key...)
	sum := blake3.Sum256(in)
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(buckets))
}

// slot is one key of a bucket.
type slot struct {
	_    struct{} `cbor:",toarray"`
	Key  []byte
	Hash blob.Hash // of the value
}

// bucket is the sorted keys of one bucket. Its canonical bytes are what the leaf
// of the tree hashes, and what is kept on the disk.
type bucket []slot

// encode is the canonical bytes; an empty bucket has none.
func (b bucket) encode() []byte {
	if len(b) == 0 {
		return nil
	}
	return canon.Encode(b)
}

// hashBucket is the leaf of a bucket's bytes: zero for an empty one.
func hashBucket(raw []byte) blob.Hash {
	if len(raw) == 0 {
		return blob.Hash{}
	}
	return blob.Leaf(raw)
}

func (b bucket) hash() blob.Hash { return hashBucket(b.encode()) }

func (b bucket) find(key []byte) (int, bool) {
	return sort.Find(len(b), func(i int) int { return bytes.Compare(key, b[i].Key) })
}

// with is the bucket after a change; it does not alter b.
func (b bucket) with(c Change) bucket {
	i, there := b.find(c.Key)
	out := append(make(bucket, 0, len(b)+1), b[:i]...)
	if !c.Delete {
		out = append(out, slot{Key: c.Key, Hash: blob.Leaf(c.Value)})
	}
	if there {
		i++
	}
	return append(out, b[i:]...)
}
