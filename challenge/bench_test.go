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
	c := k.commitment(q.Questions[0].Blob)
	b.Run("opening", func(b *testing.B) {
		for b.Loop() {
			if err := p.Openings[0].check(q.Questions[0], c); err != nil {
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
			if err := q.Verify(holder.Public(), p); err != nil {
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

// BenchmarkThousandShards checks what a node checks in a round of a thousand shards:
// the signature of each and 32 openings of four symbols of as many bytes as symbols
// have there at most. Limit is hashing what is hashed in them: one core, one round.
func BenchmarkThousandShards(b *testing.B) {
	const n, draws = 1000, 32
	k := newKept(b, n)
	k.add(b, 200_000_000, k.shape.MaxSymbol(), 1)
	p := Default()
	p.ByBytes, p.ByCount = 1, 0 // one stripe is kept; it is asked for 32 times
	proofs, challenges := make([]Proof, n), make([]Challenge, n)
	for s := range proofs {
		var err error
		if proofs[s], challenges[s], err = k.round(p, 1, blob.Shard(s)); err != nil {
			b.Fatal(err)
		}
	}
	c := k.commitment(challenges[0].Questions[0].Blob)
	b.Run("round", func(b *testing.B) {
		for b.Loop() {
			for s := range proofs {
				for range draws - 1 {
					if err := proofs[s].Openings[0].check(challenges[s].Questions[0], c); err != nil {
						b.Fatal(err)
					}
				}
				if err := challenges[s].Verify(holder.Public(), proofs[s]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("limit", func(b *testing.B) {
		for b.Loop() {
			for s := range proofs {
				o := proofs[s].Openings[0]
				for range draws {
					for _, symbol := range o.Symbols {
						blob.Leaf(symbol)
					}
					for range o.Others {
						blob.Leaf(o.Others[0][:])
					}
				}
			}
		}
	})
}
