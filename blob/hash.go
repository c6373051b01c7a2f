package blob

import (
	"encoding/hex"
	"sync"

	"github.com/zeebo/blake3"
)

// Hash is a BLAKE3-256 digest.
type Hash [32]byte

// String returns the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// nodeContext separates inner nodes from leaves: a leaf is plain BLAKE3 of the
// symbol, so no symbol can pass for a node.
const nodeContext = "walrus 2026 node v1"

// Leaf is the hash of a symbol, a share or any stored bytes: plain BLAKE3-256.
func Leaf(b []byte) Hash { return blake3.Sum256(b) }

var nodeHashers = sync.Pool{New: func() any { return blake3.NewDeriveKey(nodeContext) }}

// Node is the hash of the inner node over a, then b.
func Node(a, b Hash) Hash {
	h := nodeHashers.Get().(*blake3.Hasher)
	defer nodeHashers.Put(h)
	return nodeWith(h, a, b)
}

func nodeWith(h *blake3.Hasher, a, b Hash) (out Hash) {
	var in [64]byte
	copy(in[:32], a[:])
	copy(in[32:], b[:])
	h.Reset()
	h.Write(in[:])
	h.Sum(out[:0])
	return out
}
