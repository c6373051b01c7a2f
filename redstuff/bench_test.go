package redstuff

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// Whole blobs, with limits of the same run, are measured by package bench; here are
// the single calls.

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{1000, 64_000_000} {
		for _, n := range []int{10, 28, 100, 300} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("size=%d/shards=%d/workers=%d", size, n, workers), func(b *testing.B) {
					shape, _ := blob.NewShape(n)
					l, err := shape.Layout(int64(size))
					if err != nil {
						b.Fatal(err)
					}
					content := contents(size, 1)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					for b.Loop() {
						if _, _, err := For(shape).Commit(context.Background(), l, bytes.NewReader(content), workers, nil); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkHash is the speed of hashing the symbols alone, per byte of the blob: the
// limit that no encoder passes.
func BenchmarkHash(b *testing.B) {
	for _, n := range []int{10, 28, 100, 300} {
		b.Run(fmt.Sprintf("shards=%d", n), func(b *testing.B) {
			shape, _ := blob.NewShape(n)
			symbols := contents(shape.N*shape.MaxSymbol(), 1)
			b.SetBytes(int64(shape.K1 * shape.K2 * shape.MaxSymbol() / shape.N))
			for b.Loop() {
				blob.Leaves(symbols, shape.MaxSymbol())
			}
		})
	}
}

// BenchmarkSymbolsAt is a holder's answer to one repairer: one parity symbol.
func BenchmarkSymbolsAt(b *testing.B) {
	for _, n := range []int{10, 28, 100, 300} {
		b.Run(fmt.Sprintf("shards=%d", n), func(b *testing.B) {
			shape, _ := blob.NewShape(n)
			row := contents(shape.K2*shape.MaxSymbol(), 1)
			b.SetBytes(int64(len(row)))
			for b.Loop() {
				if _, err := For(shape).SymbolsAt(blob.Row, row, shape.MaxSymbol(), []int{n - 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRecover rebuilds a column from its last k1 symbols.
func BenchmarkRecover(b *testing.B) {
	for _, n := range []int{10, 28, 100, 300} {
		b.Run(fmt.Sprintf("shards=%d", n), func(b *testing.B) {
			shape, _ := blob.NewShape(n)
			symbols := split(contents(shape.K1*shape.MaxSymbol(), 1), shape.MaxSymbol())
			b.SetBytes(int64(shape.K1 * shape.MaxSymbol()))
			for b.Loop() {
				if _, err := For(shape).Recover(blob.Column, positions(n-shape.K1, n), symbols, shape.MaxSymbol()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeParityRows decodes a stripe from as many parity rows as there can be.
func BenchmarkDecodeParityRows(b *testing.B) {
	for _, n := range []int{10, 28, 100} {
		b.Run(fmt.Sprintf("shards=%d", n), func(b *testing.B) {
			shape, _ := blob.NewShape(n)
			s := store(b, n, contents(shape.K1*shape.K2*shape.MaxSymbol(), 1), shape.MaxSymbol())[0]
			rows := s.rows[n-shape.K1:]
			dst := make([]byte, 0, len(s.content))
			b.SetBytes(int64(len(s.content)))
			for b.Loop() {
				if _, err := s.code.Decode(dst, s.proven, rows); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
