package s3

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"
)

// The additional checksums of S3. A multipart object has either a checksum of the parts'
// checksums (composite) or, with a CRC, one of all its bytes (full object).
const (
	composite  = "COMPOSITE"
	fullObject = "FULL_OBJECT"
)

const headerChecksum = "X-Amz-Checksum-"

// kind is a checksum algorithm.
type kind struct {
	name string // as headers and XML have it
	make func() hash.Hash
	crc  uint64 // reversed polynomial, 0 where it is no CRC
	bits int
}

var kinds = []kind{
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }, crc32.IEEE, 32},
	{"CRC32C", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, crc32.Castagnoli, 32},
	{"CRC64NVME", func() hash.Hash { return crc64.New(crc64nvme) }, polynomialNVME, 64},
	{"SHA1", sha1.New, 0, 160},
	{"SHA256", sha256.New, 0, 256},
	{"SHA512", sha512.New, 0, 512},
	{"MD5", md5.New, 0, 128},
	{"XXHASH64", func() hash.Hash { return xxhash.New() }, 0, 64},
	{"XXHASH3", func() hash.Hash { return xxh3.New() }, 0, 64},
	{"XXHASH128", func() hash.Hash { return xxh128{xxh3.New()} }, 0, 128},
}

// xxh128 is XXH3 with its sum of 128 bits.
type xxh128 struct{ *xxh3.Hasher }

func (x xxh128) Size() int { return 16 }

func (x xxh128) Sum(b []byte) []byte {
	sum := x.Sum128().Bytes()
	return append(b, sum[:]...)
}

const polynomialNVME = 0x9a6c9329ac4bc9b5

var crc64nvme = crc64.MakeTable(polynomialNVME)

// kindOf finds an algorithm by its name, in any case.
func kindOf(name string) *kind {
	for i := range kinds {
		if strings.EqualFold(kinds[i].name, name) {
			return &kinds[i]
		}
	}
	return nil
}

// checksum is a value as S3 shows it. The zero value is none.
type checksum struct {
	_     struct{} `cbor:",toarray"`
	Kind  string
	Value string // base64, with -N behind it if it is composite
	Type  string
}

// header is the checksum's header name.
func (c checksum) header() string { return headerChecksum + c.Kind }

// valueOK says whether text is the base64 of a checksum.
func (k *kind) valueOK(text string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(b)*8 == k.bits
}

// requested is the checksum that a request's headers name: its algorithm, and its value if
// it is a header and not a trailer.
func requested(h http.Header) (*kind, string, error) {
	var found *kind
	var value string
	for name, values := range h {
		rest, ok := strings.CutPrefix(name, headerChecksum)
		if !ok || strings.EqualFold(rest, "mode") || strings.EqualFold(rest, "type") || strings.EqualFold(rest, "algorithm") {
			continue
		}
		k := kindOf(rest)
		if k == nil {
			return nil, "", errBadRequest.with("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if found != nil || len(values) != 1 {
			return nil, "", errBadRequest.with("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		found, value = k, values[0]
	}
	if found != nil && !found.valueOK(value) {
		return nil, "", errBadRequest.with("Value for x-amz-checksum-%s header is invalid.", strings.ToLower(found.name))
	}
	for _, name := range []string{"X-Amz-Sdk-Checksum-Algorithm"} {
		text := h.Get(name)
		if text == "" {
			continue
		}
		k := kindOf(text)
		if k == nil || found != nil && k != found {
			return nil, "", errBadRequest.with("Value for %s header is invalid.", strings.ToLower(name))
		}
		if found == nil && !trailerNamed(h) {
			return nil, "", errBadRequest.with("%s specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.", strings.ToLower(name))
		}
	}
	return found, value, nil
}

func trailerNamed(h http.Header) bool { return h.Get("X-Amz-Trailer") != "" }

// combine is the CRC of two byte strings, one behind the other, from the CRC of each and
// the length of the second: the first is moved by that many zero bytes, a multiplication in
// GF(2)[x] modulo the polynomial (Adler's method of zlib's crc32_combine).
func (k *kind) combine(a, b uint64, length int64) uint64 {
	// x^(8·length) by squaring, starting with x^8; the highest power has the lowest bit.
	power, result := k.one()>>8, k.one()
	for n := uint64(length); n > 0; n >>= 1 {
		if n&1 == 1 {
			result = k.multiply(result, power)
		}
		power = k.multiply(power, power)
	}
	return k.multiply(a, result) ^ b
}

// one is the polynomial 1 in reversed order of bits.
func (k *kind) one() uint64 { return 1 << (k.bits - 1) }

func (k *kind) multiply(a, b uint64) (product uint64) {
	for bit := k.one(); bit > 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		low := b & 1
		b >>= 1
		if low == 1 {
			b ^= k.crc
		}
	}
	return product
}

// summed is the checksum of an object from those of its parts.
func (k *kind) summed(parts []checksum, sizes []int64, full bool) (checksum, bool) {
	if full {
		if k.crc == 0 {
			return checksum{}, false
		}
		var sum uint64
		for i, p := range parts {
			b, err := base64.StdEncoding.DecodeString(p.Value)
			if err != nil || p.Kind != k.name {
				return checksum{}, false
			}
			sum = k.combine(sum, number(b), sizes[i])
		}
		out := make([]byte, k.bits/8)
		for i := range out {
			out[i] = byte(sum >> (k.bits - 8*(i+1)))
		}
		return checksum{Kind: k.name, Value: base64.StdEncoding.EncodeToString(out), Type: fullObject}, true
	}
	h := k.make()
	for _, p := range parts {
		b, err := base64.StdEncoding.DecodeString(p.Value)
		if err != nil || p.Kind != k.name {
			return checksum{}, false
		}
		h.Write(b)
	}
	return checksum{Kind: k.name, Value: base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), Type: composite}, true
}

func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func setChecksum(h http.Header, c checksum) {
	if c.Kind != "" {
		h.Set(c.header(), c.Value)
		h.Set("X-Amz-Checksum-Type", c.Type)
	}
}

// xmlChecksum is a checksum in a document.
type xmlChecksum struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumSHA512    string `xml:",omitempty"`
	ChecksumMD5       string `xml:",omitempty"`
	ChecksumXXHASH64  string `xml:",omitempty"`
	ChecksumXXHASH3   string `xml:",omitempty"`
	ChecksumXXHASH128 string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

func (x *xmlChecksum) field(kind string) *string {
	switch kind {
	case "CRC32":
		return &x.ChecksumCRC32
	case "CRC32C":
		return &x.ChecksumCRC32C
	case "CRC64NVME":
		return &x.ChecksumCRC64NVME
	case "SHA1":
		return &x.ChecksumSHA1
	case "SHA256":
		return &x.ChecksumSHA256
	case "SHA512":
		return &x.ChecksumSHA512
	case "MD5":
		return &x.ChecksumMD5
	case "XXHASH64":
		return &x.ChecksumXXHASH64
	case "XXHASH3":
		return &x.ChecksumXXHASH3
	case "XXHASH128":
		return &x.ChecksumXXHASH128
	}
	return new(string)
}

func checksumXML(c checksum) (x xmlChecksum) {
	*x.field(c.Kind) = c.Value
	x.ChecksumType = c.Type
	return x
}
