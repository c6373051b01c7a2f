package report

import (
	"math"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/unit"
)

// Sampling is how a round samples the stripes of a network, worked out from its
// parameters and from how many blobs can be drawn now. No rule rests on it: it is in
// floating point.
//
// A round draws stripes that every shard is asked for; of each a shard is asked for one
// of its two fragments, of which every symbol may be wanted. Where there are few blobs,
// a round draws only some of them, and finds less.
type Sampling struct {
	Blobs   uint64        // blobs that can be drawn
	Stripes float64       // stripes of these, about
	Drawn   float64       // stripes that a round draws
	Blobs1  float64       // distinct blobs that a round draws at most
	Round   time.Duration // nominal
	row     float64       // probability that a question is about a row
	params  ledger.Params
	kib     float64 // stored KiB of the blobs that can be drawn
}

// SamplingOf works the sampling out. ok is false where the network asks for no proof, or
// no blob can be drawn yet.
func SamplingOf(p ledger.Params, u ledger.Usage) (s Sampling, ok bool) {
	shape, err := p.Shape()
	if err != nil || !p.Challenged || p.Challenge.Draws() == 0 || u.Drawable == 0 {
		return s, false
	}
	s = Sampling{Blobs: u.Drawable, params: p, kib: float64(u.DrawableKiB), row: float64(shape.K2) / float64(shape.K1+shape.K2)}
	s.Round = time.Duration(p.RoundBlocks*p.BlockMs) * time.Millisecond
	s.Stripes = max(float64(u.Drawable), s.kib/stripeKiB(shape))
	s.Blobs1 = max(1, math.Floor(float64(u.Drawable)/float64(p.Challenge.FewBlobs)))
	s.Drawn = min(float64(p.Challenge.Draws()), s.Blobs1*s.Stripes/float64(u.Drawable))
	return s, true
}

// stripeKiB is the stored KiB of a full stripe.
func stripeKiB(shape blob.Shape) float64 {
	const large, many = 1 << 36, 64 // bytes of a blob of many stripes; so many of them
	l, err := shape.Layout(large)
	if err != nil || l.Stripes < many {
		return math.Inf(1)
	}
	return float64(l.StoredKiB()) / float64(l.Stripes)
}

// Caught is how likely a shard that lost a part of its fragments, at least one, is asked
// for one of them within some rounds, at least once. A node with several shards is caught
// the sooner.
func (s Sampling) Caught(lost float64, rounds float64) float64 {
	fragments := 2 * s.Stripes
	gone := max(1, lost*fragments)
	asked := s.Drawn
	if rounds != 1 {
		asked = 0 // fragments that are asked for at least once
		for _, axis := range []float64{s.row, 1 - s.row} {
			asked += s.Stripes * (1 - math.Pow(1-s.Drawn*axis/s.Stripes, rounds))
		}
	}
	return 1 - none(fragments, gone, asked)
}

// none is how likely none of the asked fragments is one of those gone.
func none(fragments, gone, asked float64) float64 {
	const exact = 1e7 // beyond, the logarithms lose more than the difference
	switch {
	case asked >= fragments-gone+1:
		return 0
	case fragments > exact:
		return math.Pow(1-gone/fragments, asked)
	}
	ln := func(x float64) float64 { v, _ := math.Lgamma(x + 1); return v }
	return min(1, math.Exp(ln(fragments-gone)+ln(fragments-asked)-ln(fragments-gone-asked)-ln(fragments)))
}

// DrawnEvery is in how many rounds a blob of some stored KiB is drawn about once.
func (s Sampling) DrawnEvery(kib unit.KiB) float64 {
	blobs, c := float64(s.Blobs), s.params.Challenge
	draws := float64(c.Draws())
	if blobs > s.Blobs1 { // no further blob is taken once so many are drawn
		draws = min(draws, max(1, math.Log(1-s.Blobs1/blobs)/math.Log(1-1/blobs)))
	}
	byBytes := min(draws, float64(c.ByBytes))
	missed := math.Pow(1-min(1, float64(kib)/s.kib), byBytes) * math.Pow(1-1/blobs, draws-byBytes)
	return 1 / (1 - missed)
}

// Span is a time that means something to a person on this network, and how many rounds
// it has: a day, or an hour where rounds are short.
func (s Sampling) Span() (name string, rounds float64) {
	const few = 12 // rounds
	for _, one := range []struct {
		name string
		time time.Duration
	}{{"minute", time.Minute}, {"hour", time.Hour}} {
		if one.time >= few*s.Round {
			return one.name, float64(one.time) / float64(s.Round)
		}
	}
	return "day", float64(24*time.Hour) / float64(s.Round)
}
