package report

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
)

// drawn is a network of blobs of some stripes each, all challenged for real: the
// index, the draws and the questions are those of the ledger and the nodes.
type drawn struct {
	p       ledger.Params
	layouts map[blob.ID]blob.Layout
	ids     []blob.ID
	index   *challenge.Index
	usage   ledger.Usage
}

func newDrawn(t *testing.T, shards int, stripes ...int) *drawn {
	t.Helper()
	p := ledger.Default()
	p.Shards, p.Challenged = shards, true
	shape, err := p.Shape()
	if err != nil {
		t.Fatal(err)
	}
	d := &drawn{p: p, layouts: map[blob.ID]blob.Layout{}, index: challenge.NewIndex()}
	full, err := shape.Layout(1 << 36)
	if err != nil {
		t.Fatal(err)
	}
	stripe := int64(full.K1 * full.K2 * full.Seg)
	for i, n := range stripes {
		l, err := shape.Layout(int64(n) * stripe)
		if err != nil || l.Stripes != n {
			t.Fatal(err, l.Stripes)
		}
		id := blob.ID(blob.Leaf(binary.BigEndian.AppendUint32(nil, uint32(i))))
		d.ids, d.layouts[id] = append(d.ids, id), l
		d.index.Set(i, challenge.Slot{Blob: id, Units: l.StoredKiB(), Stripes: uint64(l.Stripes)})
	}
	d.usage.Drawable, d.usage.DrawableKiB = uint64(d.index.Live()), d.index.Total()
	return d
}

func (d *drawn) draw(beacon challenge.Beacon) []challenge.Draw {
	return challenge.DrawRound(d.p.Challenge, beacon, d.index, func(int) bool { return false })
}

// caught runs a shard that lost a part at random, and says in which round it is asked
// for something it lost, the most if in none.
func (d *drawn) caught(r *rand.Rand, lost float64, rounds int) int {
	type fragment struct {
		id     blob.ID
		stripe uint32
		axis   blob.Axis
	}
	var all []fragment
	for _, id := range d.ids {
		for s := range d.layouts[id].Stripes {
			all = append(all, fragment{id, uint32(s), blob.Row}, fragment{id, uint32(s), blob.Column})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	gone := map[fragment]bool{}
	for _, f := range all[:max(1, int(math.Round(lost*float64(len(all)))))] {
		gone[f] = true
	}
	for round := range rounds {
		var beacon challenge.Beacon
		binary.BigEndian.PutUint64(beacon[:], r.Uint64())
		for _, q := range challenge.Questions(d.p.Challenge, beacon, d.draw(beacon), 3, func(id blob.ID) blob.Layout { return d.layouts[id] }) {
			if gone[fragment{q.Blob, q.Stripe, q.Axis}] {
				return round
			}
		}
	}
	return rounds
}

func times(n, stripes int) (out []int) {
	for range n {
		out = append(out, stripes)
	}
	return out
}

// The probability in the report is the frequency in many seeded networks, with the draw
// and the questions of package challenge.
func TestTheStrengthToldIsThatOfTheDraw(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	const rounds, bias = 24, 0.03
	runs := float64(testlevel.Repeat(0, 100, 400))
	for name, d := range map[string]*drawn{
		"600 blobs of a stripe": newDrawn(t, 10, times(600, 1)...), "40 blobs of a stripe": newDrawn(t, 10, times(40, 1)...),
		"8 blobs of a stripe": newDrawn(t, 10, times(8, 1)...), "20 blobs of 30 stripes": newDrawn(t, 10, times(20, 30)...),
		"one blob of 200 stripes": newDrawn(t, 7, 200), "one blob of a stripe": newDrawn(t, 10, 1), "3 blobs of a stripe": newDrawn(t, 10, 1, 1, 1),
	} {
		s, ok := SamplingOf(d.p, d.usage)
		if !ok {
			t.Fatal(name)
		}
		for _, lost := range []float64{0.01, 0.05, 0.10} {
			r := rand.New(rand.NewPCG(1, uint64(lost*1000)))
			first, ever := 0.0, 0.0
			for range int(runs) {
				switch at := d.caught(r, lost, rounds); {
				case at == 0:
					first++
					ever++
				case at < rounds:
					ever++
				}
			}
			for what, pair := range map[string][2]float64{"a round": {s.Caught(lost, 1), first / runs}, "a day": {s.Caught(lost, rounds), ever / runs}} {
				told, seen := pair[0], pair[1]
				t.Logf("%s, %2.0f %% lost, within %s: told %.4f, seen %.4f", name, 100*lost, what, told, seen)
				if slack := bias + 4*math.Sqrt(told*(1-told)/runs); math.Abs(told-seen) > slack {
					t.Errorf("that is more than %.4f apart", slack)
				}
			}
		}
	}
}

// The figures that the network promises, where it has blobs enough.
func TestAFullNetworkCatchesOnePercentWithinADay(t *testing.T) {
	p := ledger.Default()
	p.Challenged = true
	s, ok := SamplingOf(p, ledger.Usage{Drawable: 1_000_000, DrawableKiB: 1 << 50})
	if !ok {
		t.Fatal("no strength")
	}
	span, rounds := s.Span()
	if span != "day" || rounds != 24 || s.Drawn != 32 || s.Round != time.Hour {
		t.Fatalf("%s of %v rounds: %+v", span, rounds, s)
	}
	for lost, want := range map[float64][2]float64{0.01: {0.275, 0.9996}, 0.05: {0.806, 1}, 0.10: {0.966, 1}} {
		if got := [2]float64{s.Caught(lost, 1), s.Caught(lost, rounds)}; math.Abs(got[0]-want[0]) > 0.001 || math.Abs(got[1]-want[1]) > 0.0001 {
			t.Errorf("%v lost: %v, want %v", lost, got, want)
		}
	}
}

func TestWhereNothingIsAskedThereIsNoStrength(t *testing.T) {
	p := ledger.Default()
	p.Challenged = false
	if _, ok := SamplingOf(p, ledger.Usage{Drawable: 9, DrawableKiB: 9}); ok {
		t.Error("a network that asks for no proof has one")
	}
	p.Challenged = true
	if _, ok := SamplingOf(p, ledger.Usage{}); ok {
		t.Error("a network without blobs has one")
	}
}

// How often a blob is drawn is what status tells its owner to expect.
func TestABlobIsDrawnAsOftenAsTold(t *testing.T) {
	rounds := testlevel.Repeat(1000, 1000, 3000)
	for name, d := range map[string]*drawn{
		"one blob": newDrawn(t, 10, 1), "10 alike": newDrawn(t, 10, times(10, 1)...), "100 alike": newDrawn(t, 10, times(100, 1)...), "1000 alike": newDrawn(t, 10, times(1000, 1)...),
		"a small one beside large ones": newDrawn(t, 10, append([]int{1}, times(99, 5)...)...),
	} {
		s, _ := SamplingOf(d.p, d.usage)
		seen := 0
		for i := range rounds {
			var beacon challenge.Beacon
			binary.BigEndian.PutUint64(beacon[:], uint64(i))
			for _, one := range d.draw(beacon) {
				if one.Blob == d.ids[0] {
					seen++
					break
				}
			}
		}
		told := s.DrawnEvery(d.layouts[d.ids[0]].StoredKiB())
		got := float64(rounds) / float64(seen)
		t.Logf("%s: told once in %.2f rounds, seen once in %.2f", name, told, got)
		if told < 0.75*got || told > 1.35*got {
			t.Errorf("%s: that is too far apart", name)
		}
	}
}
