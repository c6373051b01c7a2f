package seal

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// What is encrypted is the file, zeros, and the file's length in decimal digits, which spaces
// fill up in front: tail -c 20 gives a number that head -c takes.
const lengthBytes = 20

// ErrPadding is returned for what was decrypted and has not the padding of this package.
var ErrPadding = errors.New("it was decrypted, but walrus store --encrypt did not make it: read it raw, and decrypt it with age")

// MaxSize is the largest file, in bytes, that can be padded.
const MaxSize = math.MaxInt64 / 2

// PaddedSize is the bytes that are encrypted for a file of size bytes: Padmé (Nikitin and
// others, "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
// 2019, section 4) of the file with its length. That is at most 12 % more than both; a size
// below 2^40 bytes leaks at most 10 bits, and not 40.
func PaddedSize(size int64) int64 {
	n := uint64(size) + lengthBytes // at least 20
	exponent := bits.Len64(n) - 1
	free := exponent - bits.Len(uint(exponent)) // low bits that are rounded up to zeros
	mask := uint64(1)<<free - 1
	return int64((n + mask) &^ mask)
}

// lengthText is how the length of a file is written.
func lengthText(size int64) string { return fmt.Sprintf("%*d", lengthBytes, size) }

// parseLength reads the length of a file out of the last bytes of padded ones.
func parseLength(text string, padded int64) (int64, error) {
	size, err := strconv.ParseInt(strings.TrimLeft(text, " "), 10, 64)
	if err != nil || size < 0 || size > MaxSize || lengthText(size) != text || PaddedSize(size) != padded {
		return 0, ErrPadding
	}
	return size, nil
}
