package redstuff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// stored is one stripe as the network holds it, with everything proven.
type stored struct {
	code    *Code
	layout  blob.Layout
	content []byte // of the stripe
	proven  blob.ProvenStripe
	rows    []blob.VerifiedFragment
	columns []blob.VerifiedFragment
}

func contents(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	r.Read(b)
	return b
}

func layoutOf(t testing.TB, n int, size int64, maxSymbol int) (*Code, blob.Layout) {
	t.Helper()
	shape, err := blob.NewShape(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.LayoutWith(size, maxSymbol)
	if err != nil {
		t.Fatal(err)
	}
	return For(shape), l
}

// store encodes content and proves every fragment of every stripe, the way a node does.
func store(t testing.TB, n int, content []byte, maxSymbol int) []stored {
	t.Helper()
	c, l := layoutOf(t, n, int64(len(content)), maxSymbol)
	var stripes []*Stripe
	commitment, tree, err := c.Commit(context.Background(), l, bytes.NewReader(content), 0, func(s *Stripe) error {
		stripes = append(stripes, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]stored, len(stripes))
	for i, s := range stripes {
		proven, err := c.EncodeList(s.Tree().List()).Prove(commitment, uint32(i), tree.Path(i))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = stored{code: c, layout: l, proven: proven, content: content[l.StripeOffset(i):][:l.StripeBytes(i)]}
		for p := range blob.Place(n) {
			out[i].rows = append(out[i].rows, verify(t, c, proven, s, blob.Row, p))
			out[i].columns = append(out[i].columns, verify(t, c, proven, s, blob.Column, p))
		}
	}
	return out
}

// verify checks a fragment to its last leaf; in large shapes only every tenth, the
// others like a reader, since extending all of them takes most of the time.
func verify(t testing.TB, c *Code, proven blob.ProvenStripe, s *Stripe, axis blob.Axis, p blob.Place) blob.VerifiedFragment {
	t.Helper()
	data := s.AppendFragment(nil, axis, p)
	if c.shape.N > 100 && p%10 != 9 {
		v, err := proven.At(p).VerifySource(axis, data, s.Parity(p).Of(axis))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	kept, err := proven.At(p).VerifyFull(axis, data, c)
	if err != nil {
		t.Fatal(err)
	}
	if s.Parity(p).Of(axis) != kept.Parity() {
		t.Fatalf("parity root of %v %d is not that of its fragment", axis, p)
	}
	return kept.VerifiedFragment
}

func (s stored) of(axis blob.Axis) []blob.VerifiedFragment {
	if axis == blob.Row {
		return s.rows
	}
	return s.columns
}

// some picks count of the stripe's fragments along axis, in random order.
func (s stored) some(r *rand.Rand, axis blob.Axis, count int) []blob.VerifiedFragment {
	all := s.of(axis)
	picked := make([]blob.VerifiedFragment, count)
	for i, p := range r.Perm(len(all))[:count] {
		picked[i] = all[p]
	}
	return picked
}

// sizes are those where layouts break: nothing, a byte, a prime, around one stripe,
// several; a few of them for the large shapes.
func sizes(n, maxSymbol int) []int {
	shape, _ := blob.NewShape(n)
	stripe := shape.K1 * shape.K2 * maxSymbol
	switch {
	case n == 1000:
		return []int{0, 1009}
	case n >= 256:
		return []int{1, 1009, stripe + 1}
	}
	return []int{0, 1, 1009, stripe - 1, stripe, stripe + 1, 3*stripe + 17}
}

// shapes are all shapes tested, each with a largest symbol that keeps the test small.
var shapes = []struct{ n, maxSymbol int }{
	{4, 64}, {7, 100}, {10, 64}, {28, 33}, {31, 16}, {100, 4}, {256, 2}, {300, 2}, {1000, 2},
}

func TestAnyK1RowsAndAnyK2ColumnsDecode(t *testing.T) {
	for _, shape := range shapes {
		t.Run(fmt.Sprint(shape.n), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(shape.n)))
			for _, size := range sizes(shape.n, shape.maxSymbol) {
				for _, s := range store(t, shape.n, contents(size, uint64(shape.n)), shape.maxSymbol) {
					for _, axis := range []blob.Axis{blob.Row, blob.Column} {
						need := s.code.needed(axis)
						got, err := s.code.Decode([]byte("before"), s.proven, s.some(r, axis, need))
						if err != nil {
							t.Fatalf("size %d, %d %vs: %v", size, need, axis, err)
						}
						if !bytes.Equal(got, append([]byte("before"), s.content...)) {
							t.Fatalf("size %d: %d %vs decode to other bytes", size, need, axis)
						}
						if _, err := s.code.Decode(nil, s.proven, s.some(r, axis, need-1)); !errors.Is(err, ErrTooFew) {
							t.Fatalf("size %d, %d %vs: want ErrTooFew, got %v", size, need-1, axis, err)
						}
					}
				}
			}
		})
	}
}

func TestSourceRowsDecodeWithTheirParityUnchecked(t *testing.T) {
	s := store(t, 10, contents(5000, 3), 128)[0]
	var rows []blob.VerifiedFragment
	for i := range s.code.shape.K1 {
		kept := s.rows[i]
		parity, err := s.code.Extend(blob.Row, kept.Bytes(), s.layout.StripeSeg(0))
		if err != nil {
			t.Fatal(err)
		}
		root := blob.Root(blob.Leaves(parity, s.layout.StripeSeg(0)))
		v, err := s.proven.At(blob.Place(i)).VerifySource(blob.Row, kept.Bytes(), root)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	got, err := s.code.Decode(nil, s.proven, rows)
	if err != nil || !bytes.Equal(got, s.content) {
		t.Fatalf("source rows do not give the content back (%v)", err)
	}
}

func TestAnyFragmentIsRebuiltFromWholeRowsOrColumns(t *testing.T) {
	for _, shape := range []struct{ n, maxSymbol int }{{7, 100}, {28, 33}, {300, 2}} {
		r := rand.New(rand.NewPCG(4, uint64(shape.n)))
		s := store(t, shape.n, contents(3001, 8), shape.maxSymbol)[0]
		for _, from := range []blob.Axis{blob.Row, blob.Column} {
			for _, axis := range []blob.Axis{blob.Row, blob.Column} {
				for _, want := range []int{0, s.code.shape.K1 - 1, s.code.shape.K1, s.code.shape.K2, shape.n - 1} {
					have := s.some(r, from, s.code.needed(from))
					got, err := s.code.RebuildFragment(s.proven, blob.Place(want), axis, have)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := s.proven.At(blob.Place(want)).VerifyFull(axis, got, s.code); err != nil {
						t.Fatalf("N=%d: %v %d from %vs: %v", shape.n, axis, want, from, err)
					}
					if _, err := s.code.RebuildFragment(s.proven, blob.Place(want), axis, have[1:]); !errors.Is(err, ErrTooFew) {
						t.Fatalf("want ErrTooFew, got %v", err)
					}
				}
			}
		}
	}
}

func TestAFlippedBitIsNeverAccepted(t *testing.T) {
	s := store(t, 7, contents(700, 2), 16)[1]
	for p := range blob.Place(7) {
		for _, axis := range []blob.Axis{blob.Row, blob.Column} {
			good := s.of(axis)[p].Bytes()
			parity, err := s.code.Extend(axis, good, s.layout.StripeSeg(1))
			if err != nil {
				t.Fatal(err)
			}
			root := blob.Root(blob.Leaves(parity, s.layout.StripeSeg(1)))
			for i := range good {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << (i % 8)
				if _, err := s.proven.At(p).VerifyFull(axis, bad, s.code); !errors.Is(err, blob.ErrMismatch) {
					t.Fatalf("%v %d with byte %d changed is possessed (%v)", axis, p, i, err)
				}
				if _, err := s.proven.At(p).VerifySource(axis, bad, root); !errors.Is(err, blob.ErrMismatch) {
					t.Fatalf("%v %d with byte %d changed is verified (%v)", axis, p, i, err)
				}
			}
			root[3] ^= 4
			if _, err := s.proven.At(p).VerifySource(axis, good, root); !errors.Is(err, blob.ErrMismatch) {
				t.Fatalf("%v %d is verified with another parity root", axis, p)
			}
			if _, err := s.proven.At((p+1)%7).VerifyFull(axis, good, s.code); !errors.Is(err, blob.ErrMismatch) {
				t.Fatalf("%v %d passes for the one of another place", axis, p)
			}
		}
	}
}

func TestFragmentsOfAnotherStripeOrAxisAreRefused(t *testing.T) {
	all := store(t, 7, contents(1500, 2), 16)
	s, other := all[0], all[1]
	for name, have := range map[string][]blob.VerifiedFragment{
		"stripe": append(s.some(rand.New(rand.NewPCG(1, 1)), blob.Row, 2), other.rows[6]),
		"axis":   append([]blob.VerifiedFragment{s.rows[0], s.rows[1]}, s.columns[2]),
		"twice":  {s.rows[0], s.rows[1], s.rows[1]},
	} {
		if got, err := s.code.Decode(nil, s.proven, have); err == nil {
			t.Errorf("%s: decoded %d bytes", name, len(got))
		}
	}
}

func TestAWitnessWithAFlippedBitProvesNothing(t *testing.T) {
	c, l := layoutOf(t, 7, 5000, 100)
	var stripes []*Stripe
	commitment, tree, err := c.Commit(context.Background(), l, bytes.NewReader(contents(5000, 1)), 1, func(s *Stripe) error {
		stripes = append(stripes, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(stripes) < 2 {
		t.Fatal("one stripe has no path")
	}
	const p = blob.Place(5)
	s := stripes[1]
	good := s.Tree().Witness(p, s.Parity(p), tree.Path(1))
	if roots, err := good.Prove(commitment, 1, p); err != nil || roots.Roots() != s.Tree().List()[p] {
		t.Fatalf("a good witness proves nothing: %v", err)
	}
	for at := range blob.Place(8) {
		for stripe := range uint32(len(stripes) + 1) {
			if _, err := good.Prove(commitment, stripe, at); (err == nil) != (at == p && stripe == 1) {
				t.Fatalf("witness of place 5, stripe 1 given for place %d, stripe %d: %v", at, stripe, err)
			}
		}
	}
	encoded := good.Encode()
	for i := range encoded {
		bad := bytes.Clone(encoded)
		bad[i] ^= 1 << (i % 8)
		w, err := blob.DecodeWitness(bad)
		if err != nil || w.Parity != good.Parity { // the fragments show the parity roots
			continue
		}
		if _, err := w.Prove(commitment, 1, p); err == nil {
			t.Fatalf("witness with byte %d changed is accepted", i)
		}
	}
}
