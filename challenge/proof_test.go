package challenge

import (
	"bytes"
	"errors"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/token"
)

func TestAHolderOfAllProvesAll(t *testing.T) {
	for _, c := range []struct{ n, size, seg int }{{4, 0, 16384}, {4, 1, 16384}, {4, 300_000, 16384}, {7, 90_000, 1500}, {10, 40_000, 1024}, {10, 40_000, 700}, {28, 700_000, 16384}, {300, 40_000, 1024}} {
		k := newKept(t, c.n)
		k.add(t, c.size, c.seg, 1)
		k.add(t, c.size/2, c.seg, 2)
		for s := range blob.Shard(c.n) {
			if c.n > 28 && s%60 != 0 {
				continue
			}
			p, q, err := k.round(Default(), 3, s)
			if err != nil {
				t.Fatalf("N=%d: %v", c.n, err)
			}
			back, err := DecodeProof(p.Encode())
			if err != nil || back.Hash() != p.Hash() {
				t.Fatalf("N=%d: %v", c.n, err)
			}
			if err := q.Verify(holder.Public(), back); err != nil {
				t.Fatalf("N=%d, shard %d: %v", c.n, s, err)
			}
		}
	}
}

// Any byte of a proof that changes is found, and so is an answer to another question.
func TestNothingInAProofCanChange(t *testing.T) {
	k := newKept(t, 7)
	k.add(t, 200_000, 5000, 1)
	good, q, err := k.round(Default(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Verify(holder.Public(), good); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	raw := good.Encode()
	for range 3000 {
		bad := slices.Clone(raw)
		bad[r.Intn(len(bad))] ^= 1 << r.Intn(8)
		p, err := DecodeProof(bad)
		if err == nil {
			err = q.Verify(holder.Public(), p)
		}
		if err == nil {
			t.Fatal("a changed byte was not found")
		}
	}
	// Signed anew, so that only what it shows can be wrong.
	wrong := func(what string, change func(*Proof)) {
		t.Helper()
		p, err := DecodeProof(raw)
		if err != nil {
			t.Fatal(err)
		}
		change(&p)
		p.Signature = holder.Sign(ProofMessage(testChain, p))
		if err := q.Verify(holder.Public(), p); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", what, err)
		}
	}
	wrong("another round", func(p *Proof) { p.Round.Round++ })
	wrong("another shard", func(p *Proof) { p.Shard++ })
	wrong("another beacon", func(p *Proof) { p.Beacon[0]++ })
	wrong("an opening less", func(p *Proof) { p.Openings = p.Openings[1:] })
	wrong("two openings swapped", func(p *Proof) { p.Openings[0], p.Openings[1] = p.Openings[1], p.Openings[0] })
	wrong("a symbol less", func(p *Proof) { p.Openings[1].Symbols = p.Openings[1].Symbols[1:] })
	wrong("a leaf less", func(p *Proof) { p.Openings[1].Leaves = p.Openings[1].Leaves[1:] })
	wrong("a hash more", func(p *Proof) { p.Openings[1].Others = append(p.Openings[1].Others, blob.Hash{}) })
	wrong("a hash less", func(p *Proof) { p.Openings[1].Others = p.Openings[1].Others[1:] })
	wrong("a longer slice", func(p *Proof) { p.Openings[1].Symbols[0] = append(p.Openings[1].Symbols[0], 0) })
	wrong("no slice", func(p *Proof) { p.Openings[1].Symbols[0] = nil })
	wrong("another stripe's path", func(p *Proof) { p.Openings[1].Roots.Coded[5]++ })

	other := k.challenge(Default(), 1, 3)
	if err := other.Verify(holder.Public(), good); !errors.Is(err, ErrProof) {
		t.Error("another shard's questions", err)
	}
	if err := q.Verify(token.KeyFromSeed([32]byte{8}).Public(), good); !errors.Is(err, ErrProof) {
		t.Error("another's key", err)
	}
}

// Who misses a part p of the fragments is caught in a round with 1 - (1-p)^draws,
// however it chose them: here it dropped them at random.
func TestAHolderThatDropsFragmentsCannotProve(t *testing.T) {
	k := newKept(t, 10)
	for i := range 80 {
		k.add(t, 30_000, 1024, int64(i))
	}
	p := Default()
	p.FewBlobs = 1
	for _, drop := range []float64{0.02, 0.1, 0.5} {
		r := rand.New(rand.NewSource(int64(drop * 100)))
		lost := map[blob.Position]bool{}
		for at := range k.fragments {
			lost[at] = false
		}
		for _, c := range k.blobs {
			for s := range c.Layout.Stripes {
				for place := range blob.Place(10) {
					for _, axis := range []blob.Axis{blob.Row, blob.Column} {
						lost[blob.Position{Blob: c.ID, Stripe: uint32(s), Place: place, Axis: axis}] = r.Float64() < drop
					}
				}
			}
		}
		k.gone = func(at blob.Position) bool { return lost[at] }
		caught, want := 0, 0.0
		const rounds = 150
		for i := range rounds {
			_, q, err := k.round(p, i, blob.Shard(i%10))
			miss := 1.0
			for range q.Questions {
				miss *= 1 - drop
			}
			want += 1 - miss
			if errors.Is(err, errGone) {
				caught++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if got := float64(caught); got < want-25 || got > want+25 {
			t.Errorf("dropping %v was caught in %d of %d rounds, theory says %.0f", drop, caught, rounds, want)
		}
	}
}

// A message bounds what a stranger sends: the largest proof of every shape fits.
func TestTheLargestProofFitsIntoAMessage(t *testing.T) {
	for _, n := range []int{4, 10, 31, 64, 65, 100, 128, 256, 257, 300, 1000} {
		shape, err := blob.NewShape(n)
		if err != nil {
			t.Fatal(err)
		}
		p := Default()
		seg := shape.MaxSymbol()
		r := rand.New(rand.NewSource(1))
		proof := Proof{Round: RoundID{Epoch: 1 << 40, Round: 1 << 40}, Shard: blob.Shard(n - 1)}
		leaves := make([]blob.Hash, n)
		for range p.Draws() {
			at := r.Perm(n)[:min(n, int(p.Symbols))]
			slices.Sort(at)
			o := Opening{Others: blob.OthersOf(shape, blob.Row, leaves, at)}
			o.Roots.Path, o.Roots.StripePath = make([]blob.Hash, 10), make([]blob.Hash, 24)
			for range at {
				o.Symbols = append(o.Symbols, make([]byte, sliceBytes(seg, 0)))
				if chunksOf(seg) > 1 {
					o.Leaves = append(o.Leaves, blob.Hash{})
				}
			}
			proof.Openings = append(proof.Openings, o)
		}
		if got := len(proof.Encode()); got > MaxProofBytes {
			t.Errorf("N=%d: %d bytes", n, got)
		} else {
			t.Logf("N=%d: %d KiB", n, got>>10)
		}
	}
}

func TestASliceIsAsLongAsTheQuestionSays(t *testing.T) {
	for _, seg := range []int{1, 1023, 1024, 1025, 2048, 3000, 5000, 8192, 16383, 16384} {
		symbol := make([]byte, seg)
		rand.New(rand.NewSource(int64(seg))).Read(symbol)
		for i := range chunksOf(seg) {
			slice, err := cutChunk(symbol, i)
			if err != nil || chunksOf(seg) > 1 && len(slice) != sliceBytes(seg, i) {
				t.Fatalf("seg %d chunk %d: %d bytes, want %d: %v", seg, i, len(slice), sliceBytes(seg, i), err)
			}
			if chunksOf(seg) == 1 {
				continue
			}
			if err := checkChunk(slice, seg, i, blob.Leaf(symbol)); err != nil {
				t.Fatalf("seg %d chunk %d: %v", seg, i, err)
			}
			if err := checkChunk(slice, seg, (i+1)%chunksOf(seg), blob.Leaf(symbol)); err == nil {
				t.Fatalf("seg %d: chunk %d passes for the next", seg, i)
			}
			slice[len(slice)-1] ^= 1
			if err := checkChunk(slice, seg, i, blob.Leaf(symbol)); err == nil {
				t.Fatalf("seg %d chunk %d: a changed byte was not found", seg, i)
			}
		}
	}
}

func FuzzProof(f *testing.F) {
	k := newKept(f, 4)
	k.add(f, 50_000, 16384, 1)
	p, q, err := k.round(Default(), 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeProof(b)
		if err != nil {
			return
		}
		// Signed by the holder, who may be anybody: only what it shows counts.
		p.Signature = holder.Sign(ProofMessage(testChain, p))
		p.Round, p.Beacon = RoundID{Epoch: 1, Round: 1}, beaconOf(1)
		_ = q.Verify(holder.Public(), p) // must not panic
	})
}

// A message is read by every node before it knows who sent it.
func FuzzMessage(f *testing.F) {
	k := newKept(f, 4)
	k.add(f, 50_000, 16384, 1)
	p, _, err := k.round(Default(), 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	list, promise := Messages([]Proof{p, p, p})
	f.Add(list[1].Encode())
	f.Add(Message{Proof: Proof{Shard: 1, Openings: []Opening{{}}}, At: 1, Of: 3, Path: list[1].Path}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMessage(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), b) {
			t.Fatal("two encodings of one message")
		}
		if m.Promised(promise) == nil && m.Proof.Hash() != p.Hash() {
			t.Fatal("promised, and another proof")
		}
	})
}

var _ Code = (*redstuff.Code)(nil)
