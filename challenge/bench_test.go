package challenge

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// BenchmarkVerify checks one opening of four chunks of 16 KiB symbols at N=28; prove
// is the same from the fragment on. Limit is hashing the bytes of the opening.
func BenchmarkVerify(b *testing.B) {
	k := newKept(b, 28)
	k.add(b, 12_000_000, 16384, 1)
	p, q, err := k.round(Default(), 1, 1)
	if err != nil {
		b.Fatal(err)
	}
	c := k.commitment(q[0].Blob)
	b.Run("opening", func(b *testing.B) {
		for b.Loop() {
			if err := p.Openings[0].check(q[0], c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("limit", func(b *testing.B) {
		for b.Loop() {
			for _, s := range p.Openings[0].Symbols {
				blob.Leaf(s)
			}
		}
	})
	b.Run("proof", func(b *testing.B) {
		for b.Loop() {
			if err := k.verify(q, 1, p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prove", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := k.round(Default(), 1, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
