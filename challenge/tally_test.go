package challenge

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
)

func bitsOf(shards ...blob.Shard) blob.ShardSet { return blob.NewSet(32, shards...) }

func TestATallyByHand(t *testing.T) {
	here := Holder{Node: 0, Ready: true, There: true, Lately: true}
	vote := func(power int, yes bool) Attestation {
		v := Attestation{Power: power, Listened: true}
		if yes {
			v.Yes = bitsOf(0)
		}
		return v
	}
	deaf := Attestation{Power: 3}
	for _, c := range []struct {
		name   string
		votes  []Attestation // of 10 in all; the holder's is the first
		holder Holder
		want   staking.Outcome
	}{
		{"all have seen it", []Attestation{vote(1, true), vote(3, true), vote(3, true), vote(3, true)}, here, staking.Passed},
		{"a third of 9 is too few", []Attestation{vote(1, true), vote(3, true), deaf, deaf}, here, staking.Inconclusive},
		{"more than a third", []Attestation{vote(1, true), vote(4, true), vote(5, false)}, here, staking.Passed},
		{"nobody has", []Attestation{vote(1, true), vote(3, false), vote(3, false), vote(3, false)}, here, staking.Failed},
		{"two thirds of 9 say no", []Attestation{vote(1, true), vote(3, false), vote(3, false), deaf}, here, staking.Inconclusive},
		{"nobody listened", []Attestation{vote(1, true), deaf, deaf, deaf}, here, staking.Inconclusive},
		{"it was away", []Attestation{vote(1, true), vote(9, false)}, Holder{Node: 0, Ready: true, Lately: true}, staking.Away},
		{"its votes were left out, its proof was not", []Attestation{vote(1, true), vote(9, true)}, Holder{Node: 0, Ready: true, Lately: true}, staking.Passed},
		{"it declared a loss", []Attestation{vote(1, true), vote(9, false)}, Holder{Node: 0, Ready: true, There: true, Lately: true, Declared: true}, staking.Away},
		{"it was away lately", []Attestation{vote(1, true), vote(9, true)}, Holder{Node: 0, Ready: true, There: true}, staking.Away},
		{"it takes the shard over", []Attestation{vote(1, true), vote(9, false)}, Holder{Node: 0, There: true, Lately: true}, staking.Unready},
		{"it has no power", []Attestation{vote(4, true), vote(6, false)}, Holder{Node: -1, Ready: true, There: true, Lately: true}, staking.Passed},
	} {
		if got := Tally(10, c.votes, []Holder{c.holder}).Outcomes[0]; got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// electorate is random powers of N shards in all, each node with one of them.
func electorate(r *rand.Rand) (power []int, total int) {
	for range 4 + r.Intn(10) {
		power = append(power, 1+r.Intn(10))
	}
	for _, p := range power {
		total += p
	}
	return power, total
}

// Invariant 14: passed and failed exclude each other, one yes more never hurts, and
// neither the order of votes nor their number matters.
func TestAYesNeverHurtsAndTheOrderDoesNotMatter(t *testing.T) {
	rank := map[staking.Outcome]int{staking.Failed: 0, staking.Inconclusive: 1, staking.Passed: 2}
	for seed := range int64(3000) {
		r := rand.New(rand.NewSource(seed))
		power, total := electorate(r)
		var votes []Attestation
		for _, p := range power {
			v := Attestation{Power: p, Listened: r.Intn(4) > 0, Yes: make([]byte, 4)}
			r.Read(v.Yes)
			votes = append(votes, v)
		}
		holders := []Holder{}
		for s := range 32 {
			holders = append(holders, Holder{Node: s % len(power), Ready: true, There: true, Lately: true})
		}
		before := Tally(total, votes, holders).Outcomes
		i, s := r.Intn(len(votes)), r.Intn(32)
		again := slices.Clone(votes)
		more := Attestation{Power: power[i], Yes: bitsOf(blob.Shard(s)), Listened: r.Intn(2) == 0}
		a, b := again[i].Merge(more), more.Merge(again[i])
		again[i] = a.Merge(more).Merge(a)
		after := Tally(total, again, holders).Outcomes
		if rank[after[s]] < rank[before[s]] {
			t.Fatalf("seed %d: a yes made %d of %d", seed, after[s], before[s])
		}
		again[i] = b
		if !slices.Equal(Tally(total, again, holders).Outcomes, after) {
			t.Fatalf("seed %d: the order of votes matters", seed)
		}
	}
}

// Invariant 15: where the honest are of one mind, less than a third of the power
// changes nothing, whatever it says or keeps to itself.
func TestAThirdFlipsNoUnanimousOutcome(t *testing.T) {
	for seed := range int64(5000) {
		r := rand.New(rand.NewSource(seed))
		power, total := electorate(r)
		holder := r.Intn(len(power))
		seen := r.Intn(2) == 0
		bad, votes := 0, make([]Attestation, len(power))
		for _, i := range r.Perm(len(power)) {
			votes[i] = Attestation{Power: power[i], Listened: true}
			if seen {
				votes[i].Yes = bitsOf(0)
			}
			// Bad are fewer than a third of the power but the holder's, who may be one of them.
			if i == holder || 3*(bad+power[i]) >= total-power[holder] {
				continue
			}
			bad += power[i]
			votes[i] = Attestation{Power: power[i], Listened: r.Intn(2) == 0}
			if r.Intn(2) == 0 {
				votes[i].Yes = bitsOf(0)
			}
		}
		if r.Intn(2) == 0 {
			votes[holder] = Attestation{Power: power[holder], Yes: bitsOf(0), Listened: true}
		}
		want := staking.Failed
		if seen {
			want = staking.Passed
		}
		if got := Tally(total, votes, []Holder{{Node: holder, Ready: true, There: true, Lately: true}}).Outcomes[0]; got != want {
			t.Fatalf("seed %d: %d of %d power made it %d, want %d", seed, bad, total, got, want)
		}
	}
}
