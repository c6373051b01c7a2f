package redstuff

import (
	"fmt"
	"sync"

	"github.com/klauspost/reedsolomon"

	"github.com/walrus-network/walrus/blob"
)

// line is the one-dimensional code of a row or a column: k source symbols, then
// n-k parity symbols. A shard of it is one symbol of seg bytes, or the same symbol
// of many neighbouring lines, one after the other. Safe for concurrent use.
type line interface {
	// extend fills shards[k:] from shards[:k]; all n are there and of one length.
	extend(shards [][]byte, seg int) error
	// interpolate fills out[w] with the shard want[w] from the k shards in, which
	// stand at the distinct positions at.
	interpolate(at []int, in [][]byte, want []int, out [][]byte, seg int) error
}

func newLine(shape blob.Shape, axis blob.Axis) (line, error) {
	k, n := shape.Symbols(axis), shape.N
	if shape.Codec() == blob.CodecGF8 {
		return newGF8(k, n), nil
	}
	return newGF16(k, n)
}

// gf8 is codec 1: classic Reed-Solomon over GF(2^8).
type gf8 struct {
	k, n   int
	parity [][]byte // the last n-k rows of the generator matrix

	mu       sync.Mutex // guards encoders
	encoders map[int]reedsolomon.Encoder
}

// maxEncoders bounds the encoders that are kept, one for each length of shard: full
// stripes use two or three lengths, every last stripe has its own.
const maxEncoders = 64

func newGF8(k, n int) *gf8 {
	return &gf8{k: k, n: n, parity: lagrange(positions(0, k), positions(k, n)), encoders: make(map[int]reedsolomon.Encoder)}
}

func (g *gf8) extend(shards [][]byte, _ int) error {
	enc, err := g.encoder(len(shards[0]))
	if err != nil {
		return err
	}
	return enc.Encode(shards)
}

func (g *gf8) encoder(length int) (reedsolomon.Encoder, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if enc := g.encoders[length]; enc != nil {
		return enc, nil
	}
	enc, err := withMatrix(g.k, g.parity, length)
	if err != nil {
		return nil, err
	}
	if len(g.encoders) == maxEncoders {
		clear(g.encoders)
	}
	g.encoders[length] = enc
	return enc, nil
}

// withMatrix makes an encoder that gives rows x (k shards of length bytes).
//
// It works in one goroutine, since stripes are what runs in parallel here. The
// library leaves its widest instructions unused with WithMaxGoroutines(1), so it is
// allowed two and given a split size that leaves the second without work. Its
// inversion cache grows without bound with the erasure patterns seen; nothing here
// inverts.
func withMatrix(k int, rows [][]byte, length int) (reedsolomon.Encoder, error) {
	enc, err := reedsolomon.New(k, len(rows),
		reedsolomon.WithCustomMatrix(rows),
		reedsolomon.WithMaxGoroutines(2),
		reedsolomon.WithMinSplitSize(max(1, length-1)),
		reedsolomon.WithInversionCache(false))
	if err != nil {
		return nil, fmt.Errorf("code of %d symbols and %d parity: %w", k, len(rows), err)
	}
	return enc, nil
}

func (g *gf8) interpolate(at []int, in [][]byte, want []int, out [][]byte, _ int) error {
	if len(want) == 0 {
		return nil
	}
	enc, err := withMatrix(len(at), lagrange(at, want), len(in[0]))
	if err != nil {
		return err
	}
	shards := make([][]byte, 0, len(in)+len(out))
	return enc.Encode(append(append(shards, in...), out...))
}

// gf16 is codec 2: Leopard Reed-Solomon over GF(2^16). It works on blocks of 64
// bytes, the low bytes of 32 elements and then their high bytes.
type gf16 struct {
	k, n int
	enc  reedsolomon.Encoder
}

const leopardBlock = 64

func newGF16(k, n int) (*gf16, error) {
	enc, err := reedsolomon.New(k, n-k, reedsolomon.WithLeopardGF16(true), reedsolomon.WithInversionCache(false))
	if err != nil {
		return nil, fmt.Errorf("code %d of %d: %w", k, n, err)
	}
	return &gf16{k: k, n: n, enc: enc}, nil
}

func (g *gf16) extend(shards [][]byte, seg int) error {
	if seg%leopardBlock == 0 {
		return g.enc.Encode(shards)
	}
	wide := make([][]byte, g.n)
	buf := make([]byte, g.n*widened(len(shards[0]), seg))
	for i := range wide {
		wide[i] = cut(&buf, widened(len(shards[0]), seg))
		if i < g.k {
			widen(wide[i], shards[i], seg)
		}
	}
	if err := g.enc.Encode(wide); err != nil {
		return err
	}
	for i := g.k; i < g.n; i++ {
		narrow(shards[i], wide[i], seg)
	}
	return nil
}

func (g *gf16) interpolate(at []int, in [][]byte, want []int, out [][]byte, seg int) error {
	wide := make([][]byte, g.n) // a shard of length 0 is one to compute
	for i, p := range at {
		wide[p] = in[i]
		if seg%leopardBlock != 0 {
			wide[p] = make([]byte, widened(len(in[i]), seg))
			widen(wide[p], in[i], seg)
		}
	}
	parity := false
	for _, w := range want {
		parity = parity || w >= g.k
	}
	var err error
	if parity {
		err = g.enc.Reconstruct(wide)
	} else {
		err = g.enc.ReconstructData(wide)
	}
	if err != nil {
		return fmt.Errorf("interpolate %d of %d: %w", len(want), g.n, err)
	}
	for i, w := range want {
		narrow(out[i], wide[w], seg)
	}
	return nil
}

// widened is the length of a shard of length bytes when each of its symbols is
// filled up to whole blocks.
func widened(length, seg int) int {
	return length / seg * ((seg + leopardBlock - 1) / leopardBlock * leopardBlock)
}

// widen copies the symbols of src to dst, whose symbols are whole blocks: the last
// partial block of 2t bytes is t low bytes and t high bytes, and zeros fill the rest.
func widen(dst, src []byte, seg int) {
	whole := seg / leopardBlock * leopardBlock
	half := (seg - whole) / 2
	for len(src) > 0 {
		copy(dst, src[:whole])
		if half > 0 {
			block := dst[whole : whole+leopardBlock]
			clear(block)
			copy(block, src[whole:whole+half])
			copy(block[leopardBlock/2:], src[whole+half:seg])
		}
		dst, src = dst[widened(seg, seg):], src[seg:]
	}
}

// narrow undoes widen. The elements that were filled up are zero in every shard,
// parity too, because the code works on each element alone and is linear.
func narrow(dst, src []byte, seg int) {
	whole := seg / leopardBlock * leopardBlock
	half := (seg - whole) / 2
	for len(dst) > 0 {
		copy(dst[:whole], src)
		if half > 0 {
			block := src[whole : whole+leopardBlock]
			copy(dst[whole:whole+half], block)
			copy(dst[whole+half:seg], block[leopardBlock/2:])
		}
		dst, src = dst[seg:], src[widened(seg, seg):]
	}
}

// cut takes the first n bytes off b.
func cut(b *[]byte, n int) []byte {
	head := (*b)[:n:n]
	*b = (*b)[n:]
	return head
}
