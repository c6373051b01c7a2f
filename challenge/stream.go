package challenge

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/blake3"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// stream is random numbers that follow from a context and what was hashed into it.
type stream struct{ d *blake3.Digest }

func newStream(context string, parts ...any) stream {
	h := blake3.NewDeriveKey(context)
	h.Write(canon.Encode(parts))
	return stream{h.Digest()}
}

// next is 64 bits.
func (s stream) next() uint64 {
	var b [8]byte
	s.d.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// below is a number below n, which must not be 0: the high half of n times 64 bits, so
// that no number is likelier than another by more than n/2^64.
func (s stream) below(n uint64) uint64 {
	hi, _ := bits.Mul64(s.next(), n)
	return hi
}

// hash is 32 bytes.
func (s stream) hash() (h blob.Hash) {
	s.d.Read(h[:])
	return h
}
