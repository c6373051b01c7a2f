// Package canon gives every value one string of bytes: strict, canonical CBOR.
//
// The promise: Decode accepts exactly the bytes that Encode makes. Every other
// spelling of the same value (a longer integer, an indefinite length, a map, a
// tag, trailing bytes, a nil where there is an empty list) is refused, so that a
// hash or a signature over the bytes is one over the value.
//
// Structs are written as arrays: give them a blank field with the tag cbor:",toarray".
// Left to others: what a value means, and how large it may be on a wire.
package canon

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// ErrNotCanonical is returned for bytes that decode but that Encode would not write.
var ErrNotCanonical = errors.New("not in canonical form")

// ErrForm is returned for bytes that are not CBOR, or not of the fields that are expected.
var ErrForm = errors.New("not the fields that are expected")

// Limits on what a decoder builds before it has seen the value.
const (
	maxNesting  = 16
	maxElements = 1 << 20
)

var (
	encoder = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		NaNConvert:    cbor.NaNConvert7e00,
		InfConvert:    cbor.InfConvertFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode())
	decoder = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       16, // the smallest the library allows; our formats have no maps
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode returns the bytes of v. It panics on a type that has none (a channel, a
// function): that is a mistake in our own code, never in a peer's input.
func Encode(v any) []byte {
	b, err := encoder.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("canon: encode %T: %v", v, err))
	}
	return b
}

// Decode reads b into v (a pointer to a zero value) and refuses whatever
// Encode(v) would not have written.
func Decode(b []byte, v any) error {
	if err := decoder.Unmarshal(b, v); err != nil {
		return plain(err)
	}
	again, err := encoder.Marshal(v)
	if err != nil {
		return plain(err)
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("%w: a field has another length or spelling than it must have", ErrNotCanonical)
	}
	return nil
}

// DecodeEach reads an array of at most most values, one after the other, and gives each to
// each, which ends the reading with an error. A value takes at most size bytes: memory is
// that of one value, however long b is.
func DecodeEach[T any](b []byte, most, size int, each func(T) error) error {
	n, b, err := arrayHead(b)
	if err != nil {
		return err
	}
	if n > uint64(most) {
		return fmt.Errorf("%w: an array of %d, at most %d", ErrForm, n, most)
	}
	for range n {
		var v T
		rest, err := decoder.UnmarshalFirst(b[:min(len(b), size)], &v)
		if err != nil {
			return plain(err)
		}
		used := min(len(b), size) - len(rest)
		again, err := encoder.Marshal(v)
		if err != nil {
			return plain(err)
		}
		if !bytes.Equal(b[:used], again) {
			return fmt.Errorf("%w: a field has another length or spelling than it must have", ErrNotCanonical)
		}
		if err := each(v); err != nil {
			return err
		}
		b = b[used:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: %d bytes follow the array", ErrForm, len(b))
	}
	return nil
}

// arrayHead reads the length of an array in its shortest form (RFC 8949, section 3).
func arrayHead(b []byte) (n uint64, rest []byte, err error) {
	const array, inByte, wide = 4 << 5, 24, 3 // major type; additional information 24 to 27: 1, 2, 4 or 8 bytes follow
	if len(b) == 0 || b[0]&0xe0 != array || b[0]&0x1f > inByte+wide {
		return 0, nil, fmt.Errorf("%w: not an array", ErrForm)
	}
	info := b[0] & 0x1f
	if info < inByte {
		return uint64(info), b[1:], nil
	}
	size := 1 << (info - inByte)
	if len(b) < 1+size {
		return 0, nil, fmt.Errorf("%w: the length of an array is cut off", ErrForm)
	}
	for _, x := range b[1 : 1+size] {
		n = n<<8 | uint64(x)
	}
	if least := uint64(inByte); size == 1 && n < least || size > 1 && n>>(4*size) == 0 {
		return 0, nil, fmt.Errorf("%w: the length of an array is not in its shortest form", ErrNotCanonical)
	}
	return n, b[1+size:], nil
}

// plain says what is wrong with bytes in the words of CBOR, not of this program's types:
// their sender may read it.
func plain(err error) error {
	var kind *cbor.UnmarshalTypeError
	if errors.As(err, &kind) {
		if i := strings.LastIndex(kind.StructFieldName, "."); i >= 0 {
			return fmt.Errorf("%w: field %s cannot be a %s", ErrForm, kind.StructFieldName[i+1:], kind.CBORType)
		}
		return fmt.Errorf("%w: a %s is not what belongs here", ErrForm, kind.CBORType)
	}
	return fmt.Errorf("%w: %s", ErrForm, strings.TrimPrefix(err.Error(), "cbor: "))
}
