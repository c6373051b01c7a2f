package blob

import (
	"fmt"

	"github.com/walrus-network/walrus/unit"
)

// Limits of the format (not parameters of a network).
const (
	MinShards = 4
	MaxShards = 1000
)

// Codec names the erasure code's arithmetic.
type Codec uint8

const (
	CodecGF8  Codec = 1 // classic Reed-Solomon over GF(2^8), up to 256 shards
	CodecGF16 Codec = 2 // Leopard Reed-Solomon over GF(2^16), above
)

// Shape is the form of the code for a number of shards. It is comparable.
//
// Invariant: F = (N-1)/3, K1 = N-2F, K2 = N-F, MinShards <= N <= MaxShards.
type Shape struct {
	N  int // shards, and places of a blob
	F  int // how many may fail or lie
	K1 int // source rows; symbols in a column; rows that rebuild a stripe
	K2 int // source columns; symbols in a row; columns that rebuild a stripe
}

// NewShape returns the shape for n shards.
func NewShape(n int) (Shape, error) {
	if n < MinShards || n > MaxShards {
		return Shape{}, fmt.Errorf("%d shards: a network has %d to %d", n, MinShards, MaxShards)
	}
	f := (n - 1) / 3
	return Shape{N: n, F: f, K1: n - 2*f, K2: n - f}, nil
}

// Codec is the arithmetic this shape uses.
func (s Shape) Codec() Codec {
	if s.N <= 256 {
		return CodecGF8
	}
	return CodecGF16
}

// MaxSymbol is S(N), the largest symbol in bytes.
func (s Shape) MaxSymbol() int {
	switch {
	case s.N <= 64:
		return 16384
	case s.N <= 128:
		return 8192
	case s.N <= 256:
		return 2048
	default:
		return 1024
	}
}

// Quorum is the smallest number of shards that is more than two thirds.
func (s Shape) Quorum() int { return 2*s.N/3 + 1 }

// Symbols is the number of symbols stored of a fragment along axis: K2 in a row, K1 in a column.
func (s Shape) Symbols(axis Axis) int {
	if axis == Row {
		return s.K2
	}
	return s.K1
}

// Layout is how a blob of Size bytes is cut: into Stripes stripes, each a K1 x K2
// matrix of symbols, every symbol Seg bytes long but for the last stripe's.
type Layout struct {
	Shape
	Size    int64 // bytes of the blob
	Seg     int   // bytes of a symbol in every stripe but the last
	Stripes int
}

// Layout cuts a blob of size bytes.
func (s Shape) Layout(size int64) (Layout, error) { return s.LayoutWith(size, s.MaxSymbol()) }

// LayoutWith is Layout with an explicit largest symbol, in bytes. Only tests and
// measurements use it: a manifest of such a layout is refused by Manifest.Layout.
func (s Shape) LayoutWith(size int64, maxSymbol int) (Layout, error) {
	if size < 0 {
		return Layout{}, fmt.Errorf("blob of %d bytes", size)
	}
	if s.Codec() == CodecGF16 && maxSymbol%2 != 0 {
		return Layout{}, fmt.Errorf("symbol of %d bytes: codec 2 needs an even number", maxSymbol)
	}
	l := Layout{Shape: s, Size: size, Seg: s.seg(size, maxSymbol)}
	full := int64(s.K1*s.K2) * int64(l.Seg)
	stripes := max(1, (size+full-1)/full)
	if stripes > maxStripes {
		return Layout{}, fmt.Errorf("blob of %d bytes has %d stripes: at most %d, cut it", size, stripes, maxStripes)
	}
	l.Stripes = int(stripes)
	return l, nil
}

// maxStripes bounds a blob: about 50 TB at 28 shards.
const maxStripes = 1 << 24

func (s Shape) seg(size int64, maxSymbol int) int {
	cells := int64(s.K1 * s.K2)
	seg := (max(size, 1) + cells - 1) / cells
	if seg > int64(maxSymbol) {
		return maxSymbol
	}
	if s.Codec() == CodecGF16 {
		seg += seg % 2
	}
	return int(seg)
}

// StripeSeg is the length in bytes of every symbol of stripe i.
func (l Layout) StripeSeg(i int) int {
	if i < l.Stripes-1 {
		return l.Seg
	}
	return l.seg(l.StripeBytes(i), l.Seg)
}

// StripeOffset is where stripe i begins in the blob.
func (l Layout) StripeOffset(i int) int64 { return int64(i) * int64(l.K1*l.K2) * int64(l.Seg) }

// StripeBytes is how many of the blob's bytes stripe i holds.
func (l Layout) StripeBytes(i int) int64 {
	return min(l.Size-l.StripeOffset(i), int64(l.K1*l.K2)*int64(l.Seg))
}

// FragmentBytes is the length of the fragment of stripe i along axis.
func (l Layout) FragmentBytes(i int, axis Axis) int { return l.Symbols(axis) * l.StripeSeg(i) }

// EncodedBytes is what all fragments of all places weigh.
func (l Layout) EncodedBytes() int64 {
	perSeg := int64(l.N) * int64(l.K1+l.K2)
	return perSeg * (int64(l.Stripes-1)*int64(l.Seg) + int64(l.StripeSeg(l.Stripes-1)))
}

// ShareBytes is the length of one place's share of a stripe's coded root list.
func (s Shape) ShareBytes() int {
	part := (64*s.N + s.K1 - 1) / s.K1
	return part + part%2
}

// StoredBytes is all that the network keeps of the blob: fragments, roots, paths,
// shares and manifests, over all places. It is a function of (N, size) alone and
// is what a lease pays for.
func (l Layout) StoredBytes() int64 {
	depth, stripeDepth := 0, 0
	for 1<<depth < l.N {
		depth++
	}
	for 1<<stripeDepth < l.Stripes {
		stripeDepth++
	}
	const hash, rest = 2 + 32, 16 // as written in a witness, beside its other bytes
	perPlaceStripe := int64(hash*(4+2*depth+stripeDepth) + l.ShareBytes() + rest)
	const manifest = 64
	return l.EncodedBytes() + int64(l.N)*(int64(l.Stripes)*perPlaceStripe+manifest)
}

// StoredKiB is StoredBytes in whole KiB, rounded up: the unit of price and capacity.
func (l Layout) StoredKiB() unit.KiB { return unit.KiBOf(l.StoredBytes()) }
