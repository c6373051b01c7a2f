package staking

import (
	"math"
	"slices"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// PriceVote is what one node says of a price, with the weight of its shards.
type PriceVote struct {
	Shards int
	Price  token.Amount // the least it accepts; 0: no opinion
}

// PriceOf is the price of the next epoch: the lowest that more than two thirds of
// all shards accept, no further from now than PriceBounds allows.
//
// A node accepts every price at or above its vote. Shards without a vote, those that
// are in no vote included, accept every price at or above now.
//
// What holds, f = floor((shards-1)/3):
//   - The result is a price that a node voted, or now, or the bound.
//   - A vote that is raised never lowers the result.
//   - Votes of up to f shards raise the price above now only if one of the rest votes
//     above now, and then not above the highest of the rest's votes: the rest is more
//     than two thirds.
//   - They lower it below now only to what more than a third of all shards, none of
//     them theirs, accepts. So where all the rest is silent, or votes now, it stays.
func PriceOf(votes []PriceVote, shards int, now token.Amount, boundBps unit.Bps) token.Amount {
	least, most := PriceBounds(now, boundBps)
	return min(max(accepted(votes, shards, now), least), most)
}

// PriceBounds are the lowest and the highest price that may follow now: boundBps
// (1/10000) of it away, rounded down, but at least one FROST, so that no price is
// stuck; and never nothing, unless the price is nothing now.
func PriceBounds(now token.Amount, boundBps unit.Bps) (least, most token.Amount) {
	step := max(now.Part(boundBps), 1)
	least = min(now, max(now-min(now, step), 1))
	most = now + min(step, math.MaxUint64-now)
	return least, most
}

// accepted is the lowest price that more than two thirds of all shards accept.
func accepted(votes []PriceVote, shards int, now token.Amount) token.Amount {
	list, silent := make([]PriceVote, 0, len(votes)+1), shards
	for _, v := range votes {
		if v.Price > 0 {
			list = append(list, v)
			silent -= v.Shards
		}
	}
	list = append(list, PriceVote{Shards: silent, Price: now})
	slices.SortFunc(list, func(a, b PriceVote) int {
		if a.Price < b.Price {
			return -1
		}
		if a.Price > b.Price {
			return 1
		}
		return 0
	})
	sum := 0
	for _, v := range list {
		if sum += v.Shards; Carried(sum, shards) {
			return v.Price
		}
	}
	return now // no shards at all
}

// Carried says whether some shards are more than two thirds of all.
func Carried(some, all int) bool { return 3*some > 2*all }
