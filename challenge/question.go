package challenge

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
)

// chunkBytes is how much of a long symbol is asked for: a leaf of BLAKE3's own tree.
const chunkBytes = 1024

// Question is what a shard is asked of one draw: some symbols of one fragment, counted
// over all N, so that a holder that misses a stored symbol cannot compute the parity
// either.
type Question struct {
	Draw
	Place  blob.Place
	Axis   blob.Axis
	At     []int // of the N symbols, ascending
	Chunks []int // which chunk of each; 0 where a symbol has but one
}

// Position is the fragment that the question is about.
func (q Question) Position() blob.Position {
	return blob.Position{Blob: q.Blob, Stripe: q.Stripe, Place: q.Place, Axis: q.Axis}
}

// Layouts gives the layout of a blob that was drawn.
type Layouts func(blob.ID) blob.Layout

// Questions is what a round asks of a shard: one question for each draw, different
// ones of each shard, so that no answer is another's.
func Questions(p Params, beacon Beacon, draws []Draw, shard blob.Shard, layouts Layouts) []Question {
	out := make([]Question, len(draws))
	for i, d := range draws {
		out[i] = ask(p, newStream("walrus 2026 question v1", beacon, uint64(i), uint64(shard)), d, shard, layouts(d.Blob))
	}
	return out
}

func ask(p Params, s stream, d Draw, shard blob.Shard, l blob.Layout) Question {
	q := Question{Draw: d, Place: d.Blob.PlaceOf(shard, l.N), Axis: blob.Column}
	if s.below(uint64(l.K1+l.K2)) < uint64(l.K2) {
		q.Axis = blob.Row // the longer fragment is asked for the more often
	}
	for len(q.At) < min(int(p.Symbols), l.N) {
		i := int(s.below(uint64(l.N)))
		if at, taken := slices.BinarySearch(q.At, i); !taken {
			q.At = slices.Insert(q.At, at, i)
		}
	}
	chunks := chunksOf(l.StripeSeg(int(d.Stripe)))
	for range q.At {
		q.Chunks = append(q.Chunks, int(s.below(uint64(chunks))))
	}
	return q
}

// chunksOf is how many chunks a symbol of seg bytes has.
func chunksOf(seg int) int { return max(1, (seg+chunkBytes-1)/chunkBytes) }
