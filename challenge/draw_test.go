package challenge

import (
	"encoding/binary"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

func idOf(i int) blob.ID { return blob.ID(blob.Leaf(binary.BigEndian.AppendUint32(nil, uint32(i)))) }

// TestTheIndexFindsWhatAListFinds sets and empties slots at random, and asks a plain
// list the same questions.
func TestTheIndexFindsWhatAListFinds(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		x := NewIndex()
		var list []Slot
		for step := range 400 {
			i := r.Intn(len(list) + 1 + r.Intn(3))
			s := Slot{Blob: idOf(step), Units: unit.KiB(uint64(r.Intn(4)) * uint64(r.Intn(1000)))}
			x.Set(i, s)
			for len(list) <= i {
				list = append(list, Slot{})
			}
			if s.Units == 0 {
				s = Slot{}
			}
			list[i] = s
			total, live := unit.KiB(0), 0
			for i, s := range list {
				if s.Units > 0 {
					if at, rest := x.byUnits(total); at != i || rest != 0 {
						t.Fatalf("seed %d: KiB %d is in slot %d (%d), want %d", seed, total, at, rest, i)
					}
					if at, rest := x.byUnits(total + s.Units - 1); at != i || rest != s.Units-1 {
						t.Fatalf("seed %d: the last KiB of slot %d is in %d (%d)", seed, i, at, rest)
					}
					if at := x.byNumber(uint32(live)); at != i {
						t.Fatalf("seed %d: blob %d is in slot %d, want %d", seed, live, at, i)
					}
					live++
				}
				total += s.Units
			}
			if x.Total() != total || x.Live() != live || x.Len() != len(list) {
				t.Fatalf("seed %d: %d KiB of %d blobs in %d slots, want %d of %d in %d", seed, x.Total(), x.Live(), x.Len(), total, live, len(list))
			}
		}
	}
}

// indexOf is an index of blobs of some sizes in stripes, a KiB each.
func indexOf(stripes ...int) *Index {
	x := NewIndex()
	for i, s := range stripes {
		x.Set(i, Slot{Blob: idOf(i), Units: unit.KiB(s), Stripes: uint64(s)})
	}
	return x
}

// none has ended.
func none(int) bool { return false }

func many(n, stripes int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = stripes
	}
	return out
}

func TestADrawIsOfDifferentStripesThatAreThere(t *testing.T) {
	p := Default()
	for _, c := range []struct {
		stripes []int
		draws   int // at least
		blobs   int // at most
	}{
		{nil, 0, 0}, {[]int{1}, 1, 1}, {[]int{3}, 3, 1}, {[]int{1000}, 30, 1}, {many(20, 1), 1, 1}, {many(32, 50), 30, 2}, {many(1000, 1), 30, 62}, {many(20, 1000), 30, 1},
	} {
		x := indexOf(c.stripes...)
		for i := range 50 {
			draws := DrawRound(p, beaconOf(i), x, none)
			if len(draws) < c.draws || len(draws) > p.Draws() {
				t.Fatalf("%d blobs: %d draws, at least %d", len(c.stripes), len(draws), c.draws)
			}
			blobs := map[blob.ID]bool{}
			for n, d := range draws {
				blobs[d.Blob] = true
				if have := c.stripes[0]; int(d.Stripe) >= have || slices.Contains(draws[:n], d) {
					t.Fatalf("stripe %d of %d, or twice", d.Stripe, have)
				}
			}
			if len(blobs) > c.blobs {
				t.Fatalf("%d of %d blobs are drawn, at most %d", len(blobs), len(c.stripes), c.blobs)
			}
			if again := DrawRound(p, beaconOf(i), x, none); !slices.Equal(again, draws) {
				t.Fatal("one beacon, two draws")
			}
		}
	}
}

// A blob that fills the network does not take the draws by count from the others.
func TestOneHugeBlobDoesNotEatTheDraws(t *testing.T) {
	sizes := append(many(999, 1), 1_000_000)
	x := indexOf(sizes...)
	huge, rest := 0, 0
	for i := range 200 {
		for _, d := range DrawRound(Default(), beaconOf(i), x, none) {
			if d.Blob == idOf(999) {
				huge++
			} else {
				rest++
			}
		}
	}
	// 24 of 32 go by bytes, nearly all to it; 8 by count, nearly none.
	if huge < 200*23 || rest < 200*7 {
		t.Fatalf("%d draws of the huge blob, %d of all others", huge, rest)
	}
}

func TestWhatHasEndedIsDrawnAgain(t *testing.T) {
	x := indexOf(many(1000, 10)...)
	ended := func(slot int) bool { return idOf(slot)[0] < 128 } // half of them
	for i := range 50 {
		draws := DrawRound(Default(), beaconOf(i), x, ended)
		if len(draws) < 31 {
			t.Fatalf("%d draws", len(draws))
		}
		for _, d := range draws {
			if d.Blob[0] < 128 {
				t.Fatal("drawn, and it has ended")
			}
		}
	}
	if draws := DrawRound(Default(), beaconOf(1), x, func(int) bool { return true }); len(draws) != 0 {
		t.Fatal("all have ended, and something is drawn")
	}
}

// Every shard is asked something else, rows and columns by their lengths, and every
// symbol of the N as often as any other.
func TestQuestionsCoverAllNSymbols(t *testing.T) {
	shape, err := blob.NewShape(28)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shape.Layout(50_000_000)
	if err != nil {
		t.Fatal(err)
	}
	x := indexOf(many(600, l.Stripes)...)
	count, rows, all := make([]int, 28), 0, 0
	chunks := map[int]int{}
	for i := range 40 {
		draws := DrawRound(Default(), beaconOf(i), x, none)
		var last []Question
		for s := range blob.Shard(28) {
			q := Questions(Default(), beaconOf(i), draws, s, func(blob.ID) blob.Layout { return l })
			if slices.EqualFunc(q, last, func(a, b Question) bool { return slices.Equal(a.At, b.At) }) {
				t.Fatal("two shards are asked the same")
			}
			last = q
			for _, one := range q {
				if len(one.At) != 4 || !slices.IsSorted(one.At) || one.Place != one.Blob.PlaceOf(s, 28) {
					t.Fatalf("%+v", one)
				}
				all++
				if one.Axis == blob.Row {
					rows++
				}
				for n, at := range one.At {
					count[at]++
					chunks[one.Chunks[n]]++
				}
			}
		}
	}
	if part := float64(rows) / float64(all); part < 0.64 || part > 0.67 { // 19/29
		t.Errorf("%.3f of the questions are about rows", part)
	}
	for at, n := range count {
		if want := float64(all) * 4 / 28; float64(n) < 0.93*want || float64(n) > 1.07*want {
			t.Errorf("symbol %d is asked for %d times, about %.0f", at, n, want)
		}
	}
	if want := chunksOf(l.StripeSeg(0)); len(chunks) != want {
		t.Errorf("%d chunks of %d are asked for", len(chunks), want)
	}
}

func BenchmarkDraw(b *testing.B) {
	x := indexOf(many(1_000_000, 10)...)
	for i := 0; b.Loop(); i++ {
		if len(DrawRound(Default(), beaconOf(i), x, none)) < 30 {
			b.Fatal("too few")
		}
	}
}
