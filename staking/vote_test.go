package staking

import (
	"math"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// naivePrice asks for every price in turn, from the lowest, who accepts it, and
// counts the shards one by one.
func naivePrice(votes []PriceVote, shards int, now token.Amount, boundBps unit.Bps) token.Amount {
	least := make([]token.Amount, shards)
	for s := range least {
		least[s] = now
	}
	at := 0
	for _, v := range votes {
		for range v.Shards {
			if v.Price != 0 {
				least[at] = v.Price
			}
			at++
		}
	}
	price := token.Amount(0)
	for {
		yes := 0
		for _, l := range least {
			if l <= price {
				yes++
			}
		}
		if yes*3 > shards*2 {
			break
		}
		price++
	}
	step := now * token.Amount(boundBps) / 10000
	if step == 0 {
		step = 1
	}
	for price > now && price-now > step {
		price--
	}
	for price < now && now-price > step {
		price++
	}
	if price == 0 && now > 0 {
		price = 1
	}
	return price
}

// ballots is random votes of nodes that hold some of the shards, and who they are.
func ballots(r *rand.Rand, shards int, now token.Amount) (votes []PriceVote) {
	for left := shards; left > 0 && r.Intn(8) > 0; {
		v := PriceVote{Shards: 1 + r.Intn(left)}
		switch r.Intn(4) {
		case 0: // silent
		case 1:
			v.Price = token.Amount(1 + r.Intn(100))
		default: // near now
			v.Price = max(1, now-min(now, 10)+token.Amount(r.Intn(20)))
		}
		votes, left = append(votes, v), left-v.Shards
	}
	return votes
}

func TestThePriceIsWhatCountingShardByShardGives(t *testing.T) {
	const seed, rounds = 1, 100_000
	r := rand.New(rand.NewSource(seed))
	kinds := map[string]int{}
	for i := range rounds {
		shards, now, bound := 4+r.Intn(30), token.Amount(r.Intn(70)), unit.Bps(r.Intn(10_001))
		votes := ballots(r, shards, now)
		got := PriceOf(votes, shards, now, bound)
		if want := naivePrice(votes, shards, now, bound); got != want {
			t.Fatalf("seed %d, round %d: %v of %d shards, now %d, bound %d: %d, want %d", seed, i, votes, shards, now, bound, got, want)
		}
		// Invariant 19.
		least, most := PriceBounds(now, bound)
		switch {
		case slices.ContainsFunc(votes, func(v PriceVote) bool { return v.Price == got }):
			kinds["voted"]++
		case got == now:
			kinds["now"]++
		case got == least || got == most:
			kinds["bound"]++
		default:
			t.Fatalf("%d is nobody's vote, not %d, and not a bound", got, now)
		}
		r.Shuffle(len(votes), func(a, b int) { votes[a], votes[b] = votes[b], votes[a] })
		if again := PriceOf(votes, shards, now, bound); again != got {
			t.Fatalf("in another order %d becomes %d", got, again)
		}
	}
	for _, k := range []string{"voted", "now", "bound"} {
		if kinds[k] < rounds/20 {
			t.Errorf("only %d of %d results are %s", kinds[k], rounds, k)
		}
	}
}

func TestANodeThatRaisesItsVoteDoesNotLowerThePrice(t *testing.T) {
	const seed = 2
	r := rand.New(rand.NewSource(seed))
	moved := 0
	for range 50_000 {
		shards, now := 4+r.Intn(30), token.Amount(1+r.Intn(70))
		votes := ballots(r, shards, now)
		if len(votes) == 0 {
			continue
		}
		before := PriceOf(votes, shards, now, 2000)
		v := &votes[r.Intn(len(votes))]
		stood := v.Price
		if stood == 0 {
			stood = now // what a silent node accepts
		}
		v.Price = stood + token.Amount(r.Intn(30))
		after := PriceOf(votes, shards, now, 2000)
		if after < before {
			t.Fatalf("seed %d: a vote rose from %d to %d and the price fell from %d to %d", seed, stood, v.Price, before, after)
		}
		if after > before {
			moved++
		}
	}
	if moved < 1000 {
		t.Errorf("the price rose %d times only", moved)
	}
}

// f shards that vote as one, whatever they want, against whatever the rest votes.
func TestAThirdOfTheShardsDoesNotMoveThePriceAlone(t *testing.T) {
	const seed = 3
	r := rand.New(rand.NewSource(seed))
	up, down := 0, 0
	for range 50_000 {
		shards, now := 4+r.Intn(30), token.Amount(1+r.Intn(70))
		f := (shards - 1) / 3
		rest := ballots(r, shards-f, now)
		wish := token.Amount(1 + r.Intn(200))
		got := PriceOf(append(slices.Clone(rest), PriceVote{Shards: f, Price: wish}), shards, now, 2000)
		highest := now
		for _, v := range rest {
			highest = max(highest, v.Price)
		}
		if got > highest {
			t.Fatalf("seed %d: %d of %d shards wish %d, the rest votes %v at %d, and it becomes %d", seed, f, shards, wish, rest, now, got)
		}
		if got > now {
			up++
		}
		if got >= now {
			continue
		}
		down++
		agree := 0
		for _, v := range rest {
			if v.Price != 0 && v.Price <= got {
				agree += v.Shards
			}
		}
		if 3*agree <= shards {
			t.Fatalf("seed %d: %d of %d shards wish %d and only %d of the rest %v accept %d, below %d", seed, f, shards, wish, agree, rest, got, now)
		}
	}
	if up < 1000 || down < 1000 {
		t.Errorf("up %d times, down %d times", up, down)
	}
	// With one shard more, a third, they can.
	if got := PriceOf([]PriceVote{{Shards: 3, Price: 200}, {Shards: 6, Price: 100}}, 9, 100, 2000); got != 120 {
		t.Errorf("a full third holds two thirds up: %d", got)
	}
	// A rest that says nothing, or that it is content, keeps what is.
	for _, price := range []token.Amount{0, 100} {
		for _, wish := range []token.Amount{1, 99, 101, 5000} {
			if got := PriceOf([]PriceVote{{Shards: 3, Price: wish}, {Shards: 7, Price: price}}, 10, 100, 2000); got != 100 {
				t.Errorf("three of ten wish %d, and it becomes %d", wish, got)
			}
		}
	}
}

func TestPriceBoundsAtTheEdges(t *testing.T) {
	const top = math.MaxUint64
	for _, c := range []struct {
		now, least, most token.Amount
		bps              unit.Bps
	}{
		{0, 0, 1, 2000}, {1, 1, 2, 2000}, {2, 1, 3, 2000}, {9, 8, 10, 2000}, {10, 8, 12, 2000}, {1000, 800, 1200, 2000},
		{1000, 999, 1001, 0}, {1000, 1, 2000, 10_000}, {1000, 1, 2000, 99_999},
		{top, top - top/5, top, 2000}, {top - 3, top - 3 - (top-3)/5, top, 2000},
	} {
		least, most := PriceBounds(c.now, c.bps)
		if least != c.least || most != c.most {
			t.Errorf("%d, %d bps: %d to %d, want %d to %d", c.now, c.bps, least, most, c.least, c.most)
		}
	}
	if got := PriceOf([]PriceVote{{Shards: 10, Price: 1}}, 10, 10, 10_000); got != 1 {
		t.Errorf("all of them want next to nothing, and it becomes %d", got)
	}
	if got := PriceOf(nil, 10, 0, 2000); got != 0 {
		t.Errorf("a price of nothing without votes becomes %d", got)
	}
}
