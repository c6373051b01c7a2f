package challenge

import (
	"fmt"
	"math"
	"testing"

	"github.com/walrus-network/walrus/unit"
)

// The draw of a round is at a block that follows from the last beacon, every block of its
// range as likely as another, and all windows behind it fit into the round.
func TestTheDrawMovesWithinItsRound(t *testing.T) {
	for _, c := range []struct {
		round  uint64
		shards int
		least  uint64 // offsets
	}{{1200, 100, 100}, {1200, 1000, 200}, {1200, 97, 97}, {1200, 300, 300}, {120, 28, 16}, {70, 10, 1}, {450, 100, 50}} {
		p, ok := Fitting(c.round)
		n := p.Offsets(c.round, c.shards)
		if !ok || n < c.least || n > uint64(c.shards) {
			t.Errorf("%d shards, rounds of %d blocks: %d offsets, %+v", c.shards, c.round, n, p)
			continue
		}
		if latest := p.Start + n - 1 + p.mostMoves() + p.Second + p.Attest; latest+p.AnswerBlocks(c.round)+Tail >= c.round {
			t.Errorf("%d shards, rounds of %d blocks: a draw of offset %d is tallied by block %d, too late to be disputed", c.shards, c.round, n-1, latest)
		}
		count, sum := make([]int, n), 0.0
		const rounds = 20_000
		for i := range rounds {
			count[Offset(beaconOf(i), RoundID{Epoch: 3, Round: unit.Round(i % 7)}, n)]++
		}
		for _, k := range count {
			want := float64(rounds) / float64(n)
			sum += (float64(k) - want) * (float64(k) - want) / want
		}
		if sum > float64(n)+6*math.Sqrt(2*float64(n)) { // chi squared
			t.Errorf("%d offsets of rounds of %d blocks are not alike: chi squared %.0f", n, c.round, sum)
		}
	}
}

// Over many rounds every turn to propose is as likely to be that of the draw, however the
// length of a round and the number of shards go together: windows that begin at each
// multiple of the common divisor cover all turns alike.
func TestTheLengthOfARoundFavoursNoTurn(t *testing.T) {
	for _, c := range []struct {
		round  uint64
		shards int
	}{{1200, 100}, {1200, 1000}, {1200, 300}, {1200, 97}, {1200, 360}, {120, 28}, {120, 20}, {1000, 250}} {
		p, _ := Fitting(c.round)
		n := p.Offsets(c.round, c.shards)
		count := make([]int, c.shards)
		for r := range uint64(c.shards) {
			for o := range n {
				count[(r*c.round+p.Start+o)%uint64(c.shards)]++
			}
		}
		for turn, k := range count {
			if k != count[0] {
				t.Errorf("%d shards, rounds of %d blocks: turn %d has %d draws, turn 0 %d", c.shards, c.round, turn, k, count[0])
				break
			}
		}
	}
}

// Closers are drawn by shards, in any order, and change from round to round.
func TestShardsMakeClosers(t *testing.T) {
	const shards, rounds = 100, 20_000
	var by [3][shards]int
	same := 0
	for i := range rounds {
		c := CloserShards(beaconOf(i), RoundID{Epoch: 1, Round: unit.Round(i % 336)}, 3, shards)
		for turn, s := range c {
			by[turn][s]++
		}
		if c[0]/8 == c[1]/8 && c[1]/8 == c[2]/8 {
			same++
		}
	}
	for turn := range by {
		for s, k := range by[turn] {
			if k < 120 || k > 290 {
				t.Errorf("shard %d has turn %d in %d of %d rounds, about %d", s, turn, k, rounds, rounds/shards)
			}
		}
	}
	if same > 2*rounds/150 { // one in 12 squared
		t.Errorf("neighbours have all turns in %d of %d rounds", same, rounds)
	}
}

// What leaves no time for any of its windows is refused, whatever its numbers are.
func TestWindowsOfAnyNumbersAreRefusedOrFit(t *testing.T) {
	extremes := []uint64{0, 1, 2, 3, 4, 5, 7, 10, 20, 40, 1 << 20, 1<<20 + 1, 1 << 32, 1 << 63, math.MaxUint64}
	fields := func(p *Params) []*uint64 {
		return []*uint64{&p.Start, &p.Freeze, &p.Deadline, &p.Attest, &p.Late, &p.Second, &p.Pull, &p.ByBytes, &p.ByCount, &p.Symbols, &p.FewBlobs, &p.Redraws, &p.UncreditedFor, &p.KeepRounds, &p.DisputeRounds, &p.AnswerParts, &p.MaxOpenDispute}
	}
	base := Default()
	for i := range fields(&base) {
		for _, v := range extremes {
			for _, round := range []uint64{0, 1, 70, 1200, 1 << 32} {
				p := Default()
				*fields(&p)[i] = v
				if p.Validate(round) != nil {
					continue
				}
				n := p.Offsets(round, 100)
				if end := p.Start + n + p.mostMoves() + p.Second + p.Attest + p.AnswerBlocks(round) + Tail; n < 1 || end > round {
					t.Errorf("%s: taken, and ends at %d of %d", fmt.Sprintf("field %d = %d", i, v), end, round)
				}
			}
		}
	}
	for keep, ok := range map[uint64]bool{1: true, 2: true, 3: false} {
		p := Default()
		p.KeepRounds = keep
		if got := p.ValidateEpoch(2) == nil; got != ok {
			t.Errorf("epochs of two rounds, %d kept: taken %v", keep, got)
		}
	}
}
