package comet

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/unit"
)

// parade is a network of 100 shards, by CometBFT's own rotation of proposers, in which
// some nodes that work together have joined at once: they stand side by side.
type parade struct {
	p      ledger.Params
	random *rand.Rand
	set    *types.ValidatorSet
	mine   map[string]bool
	holder []string // of each shard
	shards map[string]int
	cycle  []string // the proposers, block by block: it goes round with the power of all
	at     int      // in it
}

func newParade(t testing.TB, seed int64, coalition []int64) *parade {
	t.Helper()
	p := &parade{p: ledger.Default(), random: rand.New(rand.NewSource(seed)), mine: map[string]bool{}, shards: map[string]int{}}
	key := func() ed25519.PubKey {
		var seed [32]byte
		p.random.Read(seed[:])
		return ed25519.PubKey(ed25519.GenPrivKeyFromSecret(seed[:]).PubKey().Bytes())
	}
	left := int64(p.p.Shards)
	for _, s := range coalition {
		left -= s
	}
	powers := make([]int64, 40)
	for i := range powers {
		powers[i] = 1
		left--
	}
	for left > 0 {
		if i := p.random.Intn(len(powers)); powers[i] < 6 {
			powers[i]++
			left--
		}
	}
	var first, joining []*types.Validator
	for _, s := range powers {
		first = append(first, types.NewValidator(key(), s))
	}
	p.set = types.NewValidatorSet(first)
	p.set.IncrementProposerPriority(int32(1000 + p.random.Intn(100)))
	for _, s := range coalition {
		k := key()
		p.mine[string(k.Address())] = true
		joining = append(joining, types.NewValidator(k, s))
	}
	if err := p.set.UpdateWithChangeSet(joining); err != nil {
		t.Fatal(err)
	}
	for _, v := range p.set.Validators {
		p.shards[string(v.Address)] = int(v.VotingPower)
		for range v.VotingPower {
			p.holder = append(p.holder, string(v.Address))
		}
	}
	p.set.IncrementProposerPriority(1000) // until the newcomers have taken their places
	turn := func() string {
		p.set.IncrementProposerPriority(1)
		return string(p.set.GetProposer().Address)
	}
	for range p.p.Shards {
		p.cycle = append(p.cycle, turn())
	}
	for i := range 3 * p.p.Shards {
		if who := turn(); who != p.cycle[i%p.p.Shards] {
			t.Fatal("CometBFT's turns do not go round with the power of all")
		}
	}
	return p
}

// turns is the proposers of the next round's blocks.
func (p *parade) turns() []string {
	out := make([]string, p.p.RoundBlocks)
	for i := range out {
		out[i], p.at = p.cycle[p.at], (p.at+1)%len(p.cycle)
	}
	return out
}

// beacon is any, different from round to round.
func (p *parade) beacon() (b challenge.Beacon) {
	p.random.Read(b[:])
	return b
}

// Whose turn the draw's blocks are changes from round to round, in proportion to the
// power, whatever the blocks of an epoch and the shards have in common.
func TestNoFewProposeTheDraws(t *testing.T) {
	p := newParade(t, 1, []int64{1, 1, 1, 1, 1, 1, 1, 1})
	c := p.p.Challenge
	const rounds = 4000
	trios, draws := map[[3]string]bool{}, map[string]int{}
	for r := range unit.Round(rounds) {
		at := p.turns()
		d := c.Start + challenge.Offset(p.beacon(), challenge.RoundID{Round: r}, c.Offsets(p.p.RoundBlocks, p.p.Shards))
		trios[[3]string(at[d-2:d+1])] = true
		draws[at[d]]++
	}
	if len(trios) < 50 { // of a cycle of 100 turns
		t.Errorf("%d different trios propose the last blocks of %d draws", len(trios), rounds)
	}
	for who, s := range p.shards {
		if want := float64(rounds*s) / 100; float64(draws[who]) < want*0.5 || float64(draws[who]) > want*1.6 {
			t.Errorf("a node with %d of 100 shards proposes the draw of %d of %d rounds", s, draws[who], rounds)
		}
	}
}

// option is a beacon that a coalition can bring about, and what it pays for it.
type option struct {
	silent []string // closers of its own that were
}

// options are the beacons among which a coalition can choose knowingly in a round: it must
// know all parts. all is true where nothing is left to chance, so that it can choose among
// any number, by its own reveals.
func (p *parade) options(at []string, draw uint64, closers []string) (list []option, foreseen, all bool) {
	patience, n := int(p.p.Challenge.Patience()), len(closers)
	closes := draw - challenge.ClosingBlocks(n)
	// Whether a closer can be kept from closing: by itself, or, if it is honest, by the
	// proposers of every block that could carry its signature.
	var can [3]bool
	known := n // closers from this one on are known to the coalition when it chooses
	for i := n - 1; i >= 0; i-- {
		first := closes + challenge.ClosingBlocks(i) + 2
		suppress := true
		for h := first; h < first+uint64(patience); h++ {
			suppress = suppress && p.mine[at[h]]
		}
		can[i] = p.mine[closers[i]] || suppress
		if known == i+1 && p.mine[closers[i]] {
			known = i
		} else if known == i+1 && suppress {
			known = i // its signature is seen in the votes
			break
		} else {
			break
		}
	}
	foreseen = known == 0 && p.mine[closers[0]]
	all = foreseen && p.mine[at[closes]]
	list = []option{{}}
	for i := n - 1; i >= known; i-- {
		if !can[i] {
			continue
		}
		for _, o := range slices.Clone(list) {
			if p.mine[closers[i]] {
				o.silent = append(slices.Clone(o.silent), closers[i])
			}
			list = append(list, o)
		}
	}
	return list, foreseen, all
}

// steered is what a coalition makes of many rounds.
type steered struct{ lost, plain, hit, plainHit, foreseen float64 }

// steer plays rounds in which each draw hits what the coalition has dropped with a
// probability. It avoids a hit where that costs it at most worth times the shard-rounds
// that a hit would.
func (p *parade) steer(rounds int, detection, worth float64) (out steered) {
	c, size := p.p.Challenge, 0.0
	for who := range p.mine {
		size += float64(p.shards[who])
	}
	for r := range unit.Round(rounds) {
		at, before := p.turns(), p.beacon()
		this := challenge.RoundID{Round: r}
		var closers []string
		for _, s := range challenge.CloserShards(before, this, c.Closers(), p.p.Shards) {
			if !slices.Contains(closers, p.holder[s]) {
				closers = append(closers, p.holder[s])
			}
		}
		draw := c.Start + challenge.Offset(before, this, c.Offsets(p.p.RoundBlocks, p.p.Shards))
		list, foreseen, all := p.options(at, draw, closers)
		hits := make([]bool, len(list))
		for i := range hits {
			hits[i] = p.random.Float64() < detection
		}
		cost := func(i int, worth float64) float64 {
			now, later := 0.0, 0.0 // shard-rounds of the silent nodes, in this round and in those to come
			for _, who := range list[i].silent {
				held := p.shards[who]
				now += float64(held)
				later += float64(held) * float64(challenge.SilentFor(held, p.p.Shards)-1)
			}
			if hits[i] {
				now = size * worth
			}
			return now + later*(1-detection) // as it would have failed in some of them
		}
		best := 0
		for i := range list {
			if cost(i, worth) < cost(best, worth) {
				best = i
			}
		}
		out.plain += cost(0, 1)
		if hits[0] {
			out.plainHit++
		}
		switch {
		case foreseen || all: // it fetches what it lacks before any node freezes it, or draws as often as it likes
			out.foreseen++
		default:
			out.lost += cost(best, 1)
			if hits[best] {
				out.hit++
			}
		}
	}
	return out
}

// A search for the coalition of 8 of 100 shards that gains most by steering draws or
// foreseeing them: by how its shards are spread, when it joined, how much it drops, and
// what it would pay. Its gain is the part of the shard-rounds that it would lose by being
// found out, less what it pays; the test's log is the table of doc/threat-model.md.
func TestTheBestCoalitionGainsLessThanAHundredth(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	rounds := 336 * testlevel.Repeat(0, 10, 40)
	coalitions := map[string][]int64{
		"8 nodes of a shard, side by side": {1, 1, 1, 1, 1, 1, 1, 1}, "4 nodes of two": {2, 2, 2, 2}, "2 nodes of four": {4, 4}, "one node of eight": {8},
		"5 nodes of a shard": {1, 1, 1, 1, 1},
	}
	names := []string{"8 nodes of a shard, side by side", "4 nodes of two", "2 nodes of four", "one node of eight", "5 nodes of a shard"}
	worst := 0.0
	for k, name := range names {
		for _, detection := range []float64{0.1, 0.27, 0.5, 0.81} {
			best, raw, paid := 0.0, 0.0, 0.0
			var foreseen float64
			for _, worth := range []float64{1, 1000} { // 1000: it is silent whatever that costs
				p := newParade(t, int64(100*k)+7, coalitions[name])
				s := p.steer(rounds, detection, worth)
				gain := (s.plain - s.lost) / s.plain
				if gain > best {
					best = gain
				}
				if worth == 1000 {
					raw, paid = (s.plainHit-s.hit)/s.plainHit, gain
				}
				foreseen = s.foreseen / float64(rounds)
			}
			t.Logf("| %s | %.0f %% | %.2f %% | %.2f %% | %.1f %% fewer hits, for %.1f %% of what hits cost |", name, 100*detection, 100*foreseen, 100*best, 100*raw, 100*(raw-paid))
			worst = max(worst, best)
		}
	}
	if worst >= 0.01 {
		t.Errorf("a coalition gains %.2f %% of what being found out would cost it", 100*worst)
	}
}

// What keeps another's presence off the ledger: every block that could carry one of its
// votes, before the draw and after the deadline. No coalition of a tenth has all of them.
func TestNoCoalitionKeepsAnothersPresenceOffTheLedger(t *testing.T) {
	for k, coalition := range [][]int64{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2}, {10}} {
		p := newParade(t, int64(k), coalition)
		c := p.p.Challenge
		most := 0
		for r := range unit.Round(336) {
			at := p.turns()
			draw := c.Start + challenge.Offset(p.beacon(), challenge.RoundID{Round: r}, c.Offsets(p.p.RoundBlocks, p.p.Shards))
			reveals, votes := 0, 0
			for h := draw - c.Freeze + 2; h <= draw-challenge.ClosingBlocks(c.Closers()); h++ {
				if !p.mine[at[h]] {
					reveals++
				}
			}
			for _, from := range []uint64{c.Deadline, c.Second} {
				for h := draw + from + 1; h <= draw+from+c.Attest; h++ {
					if !p.mine[at[h]] {
						votes++
					}
				}
			}
			if reveals == 0 || votes == 0 {
				t.Errorf("round %d: %d blocks of others carry reveals, %d attestations", r, reveals, votes)
			}
			most = max(most, int(c.Freeze)-reveals)
		}
	}
}
