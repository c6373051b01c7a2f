package redstuff

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// warm is a reader over content that costs a copy and nothing else.
func benchmarkEncode(b *testing.B, n int, size int, workers int) {
	shape, err := blob.NewShape(n)
	if err != nil {
		b.Fatal(err)
	}
	l, err := shape.Layout(int64(size))
	if err != nil {
		b.Fatal(err)
	}
	content := contents(size, 1)
	c := For(shape)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.Commit(context.Background(), l, bytes.NewReader(content), workers, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{10, 28, 100, 300} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("shards=%d/workers=%d", n, workers), func(b *testing.B) {
				benchmarkEncode(b, n, 64_000_000, workers)
			})
		}
	}
}

// BenchmarkHash is the speed of hashing the symbols alone, per byte of the blob:
// the limit that no encoder passes.
func BenchmarkHash(b *testing.B) {
	for _, n := range []int{10, 28, 100, 300} {
		shape, _ := blob.NewShape(n)
		b.Run(fmt.Sprintf("shards=%d", n), func(b *testing.B) {
			symbols := contents(shape.N*shape.MaxSymbol(), 1)
			b.SetBytes(int64(shape.K1 * shape.K2 * shape.MaxSymbol() / shape.N))
			for b.Loop() {
				blob.Leaves(symbols, shape.MaxSymbol())
			}
		})
	}
}
