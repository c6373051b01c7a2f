package redstuff

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/klauspost/reedsolomon"

	"github.com/walrus-network/walrus/blob"
)

// matrix is all N*N symbols of a stripe, row by row.
type matrix struct {
	code  *Code
	seg   int
	cells [][]byte
}

func (m matrix) at(i, j int) []byte { return m.cells[i*m.code.shape.N+j] }

// line is all N symbols of row or column p, one after the other.
func (m matrix) line(axis blob.Axis, p int) (b []byte) {
	for i := range m.code.shape.N {
		if axis == blob.Row {
			b = append(b, m.at(p, i)...)
		} else {
			b = append(b, m.at(i, p)...)
		}
	}
	return b
}

func (m matrix) clone() matrix {
	c := matrix{code: m.code, seg: m.seg}
	for _, b := range m.cells {
		c.cells = append(c.cells, bytes.Clone(b))
	}
	return c
}

// extendBoth makes the full matrix with Extend alone, along first for all its source
// fragments and then along the other axis for all N.
func extendBoth(t testing.TB, c *Code, source []byte, seg int, first blob.Axis) matrix {
	t.Helper()
	m := matrix{code: c, seg: seg, cells: make([][]byte, c.shape.N*c.shape.N)}
	for i, b := range split(source, seg) {
		m.cells[i/c.shape.K2*c.shape.N+i%c.shape.K2] = b
	}
	for _, axis := range []blob.Axis{first, first.Cross()} {
		lines := c.shape.N
		if axis == first {
			lines = c.shape.Symbols(axis.Cross())
		}
		for p := range lines {
			cell := func(i int) *[]byte {
				if axis == blob.Row {
					return &m.cells[p*c.shape.N+i]
				}
				return &m.cells[i*c.shape.N+p]
			}
			k := c.shape.Symbols(axis)
			var fragment []byte
			for i := range k {
				fragment = append(fragment, *cell(i)...)
			}
			parity, err := c.Extend(axis, fragment, seg)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range split(parity, seg) {
				*cell(k + i) = b
			}
		}
	}
	return m
}

func TestRowsAndColumnsCommute(t *testing.T) {
	for _, n := range []int{4, 7, 28, 100, 256, 300} {
		for _, seg := range []int{2, 62, 64, 130} {
			if n >= 100 && seg != 62 {
				continue
			}
			shape, _ := blob.NewShape(n)
			c := For(shape)
			source := contents(shape.K1*shape.K2*seg, uint64(n+seg))
			a, b := extendBoth(t, c, source, seg, blob.Row), extendBoth(t, c, source, seg, blob.Column)
			for i := range a.cells {
				if !bytes.Equal(a.cells[i], b.cells[i]) {
					t.Fatalf("N=%d seg=%d: cell (%d,%d) depends on the order of the axes", n, seg, i/n, i%n)
				}
			}
		}
	}
}

// multiply is the product in GF(2^8), bit by bit.
func multiply(a, b byte) (p byte) {
	for range 8 {
		p ^= a & -(b & 1)
		b >>= 1
		a = a<<1 ^ 0x1d&-(a>>7)
	}
	return p
}

func TestCodec1IsThePolynomialThroughTheSourceSymbols(t *testing.T) {
	for _, n := range []int{4, 10, 31, 100, 256} {
		shape, _ := blob.NewShape(n)
		c := For(shape)
		for _, axis := range []blob.Axis{blob.Row, blob.Column} {
			k := shape.Symbols(axis)
			source := contents(k, uint64(n))
			parity, err := c.Extend(axis, source, 1)
			if err != nil {
				t.Fatal(err)
			}
			library, err := reedsolomon.New(k, n-k)
			if err != nil {
				t.Fatal(err)
			}
			shards := split(append(bytes.Clone(source), make([]byte, n-k)...), 1)
			if err := library.Encode(shards); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.Join(shards[k:], nil), parity) {
				t.Fatalf("N=%d %v: not the code of the library's default matrix", n, axis)
			}
			rows := lagrange(positions(0, k), positions(k, n))
			for x, row := range rows {
				var sum byte
				for i, coefficient := range row {
					sum ^= multiply(coefficient, source[i])
				}
				if sum != parity[x] {
					t.Fatalf("N=%d %v: symbol %d is not the polynomial's value at %d", n, axis, k+x, k+x)
				}
			}
		}
	}
}

func TestAnyKSymbolsRecoverAFragment(t *testing.T) {
	for _, shape := range shapes {
		t.Run(fmt.Sprint(shape.n), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(2, uint64(shape.n)))
			s, _ := blob.NewShape(shape.n)
			c := For(s)
			for _, axis := range []blob.Axis{blob.Row, blob.Column} {
				for _, seg := range []int{shape.maxSymbol, 2, 128 + 6} {
					k := s.Symbols(axis)
					fragment := contents(k*seg, uint64(seg))
					at := r.Perm(s.N)[:k]
					answers, err := c.SymbolsAt(axis, fragment, seg, at)
					if err != nil {
						t.Fatal(err)
					}
					symbols := split(answers, seg)
					got, err := c.Recover(axis, at, symbols, seg)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, fragment) {
						t.Fatalf("%v, seg %d: another fragment came back", axis, seg)
					}
					if _, err := c.Recover(axis, at[1:], symbols[1:], seg); err == nil {
						t.Fatalf("%v: recovered from %d of %d symbols", axis, k-1, k)
					}
				}
			}
		})
	}
}

func TestSymbolsAtAnswersEveryIndexInOrderAndTwice(t *testing.T) {
	for _, n := range []int{10, 300} {
		shape, _ := blob.NewShape(n)
		c := For(shape)
		const seg = 66
		fragment := contents(shape.K1*seg, 5)
		parity, err := c.Extend(blob.Column, fragment, seg)
		if err != nil {
			t.Fatal(err)
		}
		all := split(append(bytes.Clone(fragment), parity...), seg)
		at := []int{n - 1, 0, shape.K1, n - 1, 0, shape.K1 - 1}
		got, err := c.SymbolsAt(blob.Column, fragment, seg, at)
		if err != nil {
			t.Fatal(err)
		}
		for k, i := range at {
			if !bytes.Equal(got[k*seg:(k+1)*seg], all[i]) {
				t.Fatalf("N=%d: answer %d is not symbol %d", n, k, i)
			}
		}
		if _, err := c.SymbolsAt(blob.Column, fragment, seg, []int{n}); err == nil {
			t.Fatal("a symbol beyond the fragment was answered")
		}
	}
}

// TestRandomErasuresOnASharedEncoder would find an encoder that remembers one erasure
// pattern and answers another with it, as Leopard over GF(2^8) did.
func TestRandomErasuresOnASharedEncoder(t *testing.T) {
	for _, n := range []int{10, 31, 100, 300} {
		shape, _ := blob.NewShape(n)
		c := For(shape)
		rounds := 40
		if n > 256 {
			rounds = 4
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), uint64(n)))
				for round := range rounds {
					axis := blob.Axis(round % 2)
					k := shape.Symbols(axis)
					fragment := contents(k*64, uint64(g*rounds+round))
					at := r.Perm(n)[:k]
					symbols, err := c.SymbolsAt(axis, fragment, 64, at)
					if err != nil {
						t.Error(err)
						return
					}
					got, err := c.Recover(axis, at, split(symbols, 64), 64)
					if err != nil || !bytes.Equal(got, fragment) {
						t.Errorf("N=%d round %d: wrong data (%v)", n, round, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestAnyKSharesGiveTheRootList(t *testing.T) {
	for _, shape := range shapes {
		r := rand.New(rand.NewPCG(3, uint64(shape.n)))
		s, _ := blob.NewShape(shape.n)
		c := For(s)
		list, err := blob.ParseRootList(contents(64*s.N, 9), s.N)
		if err != nil {
			t.Fatal(err)
		}
		tree := c.EncodeList(list)
		shares := make(map[blob.Place][]byte)
		for _, p := range r.Perm(s.N)[:s.K1] {
			shares[blob.Place(p)] = tree.Share(blob.Place(p))
		}
		got, err := c.DecodeList(shares)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), list.Bytes()) {
			t.Fatalf("N=%d: another list came back", s.N)
		}
		for p := range shares {
			delete(shares, p)
			break
		}
		if _, err := c.DecodeList(shares); err == nil {
			t.Fatalf("N=%d: decoded a list from %d shares", s.N, len(shares))
		}
	}
}

// FuzzRecover gives Recover what a stranger could: any indices, any lengths.
func FuzzRecover(f *testing.F) {
	f.Add(uint8(0), uint16(2), []byte{0, 1, 2, 3}, []byte("symbols that a stranger sent"))
	f.Add(uint8(1), uint16(0), []byte{9, 9}, []byte{})
	f.Fuzz(func(t *testing.T, axis uint8, seg uint16, at, data []byte) {
		shape, _ := blob.NewShape(10)
		c := For(shape)
		var indices []int
		var symbols [][]byte
		for _, i := range at {
			n := min(int(seg), len(data))
			indices, symbols = append(indices, int(i)-1), append(symbols, data[:n])
			data = data[n:]
		}
		got, err := c.Recover(blob.Axis(axis%2), indices, symbols, int(seg))
		if err != nil {
			return
		}
		again, err := c.SymbolsAt(blob.Axis(axis%2), got, int(seg), indices)
		if err != nil {
			t.Fatal(err)
		}
		k := shape.Symbols(blob.Axis(axis % 2))
		used := 0
		for i, b := range split(again, int(seg)) {
			if bytes.Equal(b, symbols[i]) {
				used++
			}
		}
		if used < k {
			t.Fatalf("recovered fragment has %d of the symbols it came from, want %d", used, k)
		}
	})
}
