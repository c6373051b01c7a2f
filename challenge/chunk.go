package challenge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"lukechampine.com/blake3/bao"

	"github.com/walrus-network/walrus/blob"
)

// errChunk is returned for a slice that does not lead to its symbol's hash, or has
// another length than follows from the question.
var errChunk = errors.New("chunk does not lead to its symbol")

// A slice of one chunk, as Bao has it but without its length, which the checker
// knows: the pairs of hashes on the way down from the symbol's root, then the chunk.

// sliceBytes is how long the slice of chunk i of a symbol of seg bytes is.
func sliceBytes(seg, i int) int {
	n, depth := chunksOf(seg), 0
	for at := i; n > 1; depth++ {
		left := 1 << (bits.Len(uint(n-1)) - 1)
		if at < left {
			n = left
		} else {
			at, n = at-left, n-left
		}
	}
	return 64*depth + min(chunkBytes, seg-i*chunkBytes)
}

// cutChunk is the slice of chunk i of a symbol; of a symbol of one chunk, the symbol.
func cutChunk(symbol []byte, i int) ([]byte, error) {
	if chunksOf(len(symbol)) == 1 {
		return symbol, nil
	}
	outboard, _ := bao.EncodeBuf(symbol, 0, true)
	var out bytes.Buffer
	err := bao.ExtractSlice(&out, bytes.NewReader(symbol[i*chunkBytes:]), bytes.NewReader(outboard), 0, uint64(i*chunkBytes), 1)
	if err != nil {
		return nil, fmt.Errorf("cut chunk %d of %d bytes: %w", i, len(symbol), err)
	}
	return out.Bytes()[8:], nil
}

// checkChunk checks the slice of chunk i against the hash of its symbol of seg bytes.
func checkChunk(slice []byte, seg, i int, symbol blob.Hash) error {
	if len(slice) != sliceBytes(seg, i) {
		return fmt.Errorf("%d bytes, want %d: %w", len(slice), sliceBytes(seg, i), errChunk)
	}
	whole := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(slice)), uint64(seg))
	if _, ok := bao.VerifySlice(append(whole, slice...), 0, uint64(i*chunkBytes), 1, symbol); !ok {
		return errChunk
	}
	return nil
}
