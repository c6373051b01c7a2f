package redstuff

import (
	"fmt"
	"sync"

	"github.com/walrus-network/walrus/blob"
)

// Code is the code of one shape. Safe for concurrent use.
type Code struct {
	shape  blob.Shape
	lines  [2]line // by axis: the code along a row, the code along a column
	frames sync.Pool
}

var codes struct {
	mu      sync.Mutex // guards byShape
	byShape map[blob.Shape]*Code
}

// For returns the code of a shape that came from blob.NewShape. It is built once
// and shared.
func For(shape blob.Shape) *Code {
	codes.mu.Lock()
	defer codes.mu.Unlock()
	if c := codes.byShape[shape]; c != nil {
		return c
	}
	if want, err := blob.NewShape(shape.N); err != nil || want != shape {
		panic(fmt.Sprintf("redstuff: %+v is not a shape", shape))
	}
	c := &Code{shape: shape}
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		l, err := newLine(shape, axis)
		if err != nil {
			panic(fmt.Sprintf("redstuff: %v of %d shards: %v", axis, shape.N, err))
		}
		c.lines[axis] = l
	}
	if codes.byShape == nil {
		codes.byShape = make(map[blob.Shape]*Code)
	}
	codes.byShape[shape] = c
	return c
}

// Shape is the code's shape.
func (c *Code) Shape() blob.Shape { return c.shape }

// Extend computes the parity symbols of a fragment from its stored symbols: f of
// them for a row, 2f for a column. It makes a Code a blob.Extender.
func (c *Code) Extend(axis blob.Axis, symbols []byte, seg int) ([]byte, error) {
	if err := c.checkFragment(axis, symbols, seg); err != nil {
		return nil, err
	}
	k := c.shape.Symbols(axis)
	parity := make([]byte, (c.shape.N-k)*seg)
	shards := append(split(symbols, seg), split(parity, seg)...)
	if err := c.lines[axis].extend(shards, seg); err != nil {
		return nil, fmt.Errorf("extend %v: %w", axis, err)
	}
	return parity, nil
}

// ExtendShards is Extend in the caller's memory: it fills shards[k:] from shards[:k].
// There are N, each a symbol of seg bytes or that symbol of several neighbouring
// lines, one after the other.
func (c *Code) ExtendShards(axis blob.Axis, shards [][]byte, seg int) error {
	if err := c.checkSeg(seg); err != nil {
		return err
	}
	for _, b := range shards {
		if len(b)%seg != 0 || len(b) != len(shards[0]) {
			return fmt.Errorf("extend %v: symbols of %d bytes and a shard of %d: %w", axis, seg, len(b), blob.ErrMismatch)
		}
	}
	if err := c.lines[axis].extend(shards, seg); err != nil {
		return fmt.Errorf("extend %v: %w", axis, err)
	}
	return nil
}

// SymbolsAt gives the symbols at the indices at (below N, source or parity) of a
// fragment, one after the other: what a holder answers to a repairer.
func (c *Code) SymbolsAt(axis blob.Axis, fragment []byte, seg int, at []int) ([]byte, error) {
	if err := c.checkFragment(axis, fragment, seg); err != nil {
		return nil, err
	}
	source := split(fragment, seg)
	out := make([]byte, len(at)*seg)
	var want []int
	var parity [][]byte
	seen := make(map[int][]byte)
	for n, i := range at {
		dst := out[n*seg : (n+1)*seg]
		switch {
		case i < 0 || i >= c.shape.N:
			return nil, fmt.Errorf("symbol %d of a %v of %d", i, axis, c.shape.N)
		case i < len(source):
			copy(dst, source[i])
		case seen[i] == nil:
			seen[i] = dst
			want, parity = append(want, i), append(parity, dst)
		}
	}
	if len(want) > 0 {
		if err := c.parityAt(axis, source, want, parity, seg); err != nil {
			return nil, err
		}
	}
	for n, i := range at {
		if first := seen[i]; first != nil {
			copy(out[n*seg:], first)
		}
	}
	return out, nil
}

// parityAt computes the parity symbols want of a line. Codec 2 has no shorter way
// to one parity symbol than all of them.
func (c *Code) parityAt(axis blob.Axis, source [][]byte, want []int, out [][]byte, seg int) error {
	k := len(source)
	if c.shape.Codec() == blob.CodecGF8 {
		return c.lines[axis].interpolate(positions(0, k), source, want, out, seg)
	}
	parity := make([]byte, (c.shape.N-k)*seg)
	shards := append(source[:k:k], split(parity, seg)...)
	if err := c.lines[axis].extend(shards, seg); err != nil {
		return fmt.Errorf("extend %v: %w", axis, err)
	}
	for n, i := range want {
		copy(out[n], shards[i])
	}
	return nil
}

func (c *Code) checkFragment(axis blob.Axis, b []byte, seg int) error {
	if err := c.checkSeg(seg); err != nil {
		return err
	}
	if want := c.shape.Symbols(axis) * seg; len(b) != want {
		return fmt.Errorf("%v of %d bytes, want %d: %w", axis, len(b), want, blob.ErrMismatch)
	}
	return nil
}

func (c *Code) checkSeg(seg int) error {
	if seg < 1 || c.shape.Codec() == blob.CodecGF16 && seg%2 != 0 {
		return fmt.Errorf("symbols of %d bytes at %d shards: %w", seg, c.shape.N, blob.ErrMismatch)
	}
	return nil
}

// split cuts b into parts of size bytes.
func split(b []byte, size int) [][]byte {
	parts := make([][]byte, len(b)/size)
	for i := range parts {
		parts[i] = b[i*size : (i+1)*size : (i+1)*size]
	}
	return parts
}

// positions is from, from+1, …, to-1.
func positions(from, to int) []int {
	p := make([]int, to-from)
	for i := range p {
		p[i] = from + i
	}
	return p
}
