package light

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/blob"
)

// Checkpoint names a header that an operator has looked up: it is trusted where the
// genesis is older than the trust period.
type Checkpoint struct {
	Height int64
	Hash   blob.Hash
}

// String is HEIGHT:HASH, the hash in hex.
func (c Checkpoint) String() string { return fmt.Sprintf("%d:%s", c.Height, c.Hash) }

// ParseCheckpoint reads HEIGHT:HASH.
func ParseCheckpoint(typed string) (Checkpoint, error) {
	number, digits, _ := strings.Cut(typed, ":")
	height, err := strconv.ParseUint(number, 10, 63)
	hash, err2 := hex.DecodeString(digits)
	if err != nil || err2 != nil || height == 0 || len(hash) != len(blob.Hash{}) || strconv.FormatUint(height, 10) != number {
		return Checkpoint{}, fmt.Errorf("checkpoint %.100q: write HEIGHT:HASH as walrus checkpoint shows it: the block's height from 1, a colon, and the 64 hex digits of its hash", typed)
	}
	return Checkpoint{int64(height), blob.Hash(hash)}, nil
}
