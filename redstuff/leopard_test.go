package redstuff

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// cantorBasis are the 16 elements of GF(2^16) modulo x^16+x^5+x^3+x^2+1 that the bits
// of a stored element stand for, lowest first.
var cantorBasis = [16]uint16{
	0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012,
	0x6c98, 0x10d8, 0x6a72, 0xb900, 0xfdb8, 0xfb34, 0xff38, 0x991e,
}

// cantorField is codec 2's arithmetic, the slow way: what a stranger would write from
// the documentation.
type cantorField struct {
	element [1 << 16]uint16 // of a label
	label   [1 << 16]uint16 // of an element
}

func newCantorField() *cantorField {
	f := new(cantorField)
	for l := range f.element {
		var e uint16
		for bit, b := range cantorBasis {
			if l>>bit&1 == 1 {
				e ^= b
			}
		}
		f.element[l], f.label[e] = e, uint16(l)
	}
	return f
}

func timesElement(a, b uint16) (p uint16) {
	for range 16 {
		p ^= a & -(b & 1)
		b >>= 1
		a = a<<1 ^ 0x002d&-(a>>15)
	}
	return p
}

func (f *cantorField) times(a, b uint16) uint16 {
	return f.label[timesElement(f.element[a], f.element[b])]
}

// inverse is a^(2^16-2).
func (f *cantorField) inverse(a uint16) uint16 {
	square, e := f.element[a], uint16(1)
	for range 15 {
		square = timesElement(square, square)
		e = timesElement(e, square)
	}
	return f.label[e]
}

func TestCodec2IsTheDocumentedMatrix(t *testing.T) {
	field := newCantorField()
	for _, n := range []int{257, 300, 1000} {
		shape, _ := blob.NewShape(n)
		c := For(shape)
		for _, axis := range []blob.Axis{blob.Row, blob.Column} {
			const seg = 6 // three elements: low bytes, then high bytes
			k := shape.Symbols(axis)
			source := contents(k*seg, uint64(n))
			parity, err := c.Extend(axis, source, seg)
			if err != nil {
				t.Fatal(err)
			}
			element := func(b []byte, e int) uint16 { return uint16(b[e]) | uint16(b[seg/2+e])<<8 }
			m := 1
			for m < n-k {
				m *= 2
			}
			for _, i := range []int{0, 1, (n - k) / 2, n - k - 1} {
				for e := range seg / 2 {
					var sum uint16
					for j := range k {
						coefficient := field.times(uint16(1+j/m), field.inverse(uint16(i^(m+j))))
						sum ^= field.times(coefficient, element(source[j*seg:], e))
					}
					if sum != element(parity[i*seg:], e) {
						t.Fatalf("N=%d %v: element %d of parity symbol %d is not the matrix's", n, axis, e, i)
					}
				}
			}
		}
	}
}
