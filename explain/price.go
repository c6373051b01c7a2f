package explain

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Price works out the prices that act from an epoch on, from the votes on record. The error
// is ErrNoRecord where the ledger has none.
func Price(v ledger.View, epoch unit.Epoch) (Explanation, error) {
	e := Explanation{Title: fmt.Sprintf("The prices of epoch %d", epoch), Holds: true}
	head, err := v.Head()
	if err != nil {
		return e, err
	}
	r, ok, err := v.PriceRecord(epoch)
	if err != nil {
		return e, err
	}
	if !ok {
		return e, fmt.Errorf("prices of epoch %d: %w: those of epoch 0 are the genesis', later ones are voted and kept for a while; the present epoch is %d", epoch, ErrNoRecord, head.Epoch)
	}
	if err := checkPrices(r); err != nil {
		return e, fmt.Errorf("prices of epoch %d: %w", epoch, err)
	}
	e.step(fmt.Sprintf("3 x %d > 2 x %d", 2*r.Shards/3+1, r.Shards), "more than two thirds of all %d shards have to accept a price: at least %d", r.Shards, 2*r.Shards/3+1)
	e.price("storing a KiB for an epoch", r, r.Prices, r.Before, r.After)
	e.price("writing a KiB", r, r.Writes, r.WriteBefore, r.WriteAfter)
	if last, ok, err := v.PriceRecord(epoch - 1); err != nil {
		return e, err
	} else if ok {
		e.same("the record of the epoch before agrees", last.After == r.Before && last.WriteAfter == r.WriteBefore)
	}
	if epoch == head.Epoch {
		p, err := v.Params()
		if err != nil {
			return e, err
		}
		e.same("these are the prices in force", p.Registry.Price == r.After && p.Registry.WritePrice == r.WriteAfter)
	}
	return e, nil
}

// checkPrices bounds a record: a view may come from a stranger.
func checkPrices(r ledger.PriceRecord) error {
	n := len(r.Nodes)
	if len(r.Held) != n || len(r.Prices) != n || len(r.Writes) != n {
		return fmt.Errorf("record of %d nodes with %d holdings, %d and %d votes", n, len(r.Held), len(r.Prices), len(r.Writes))
	}
	sum := 0
	for _, h := range r.Held {
		sum += int(h)
	}
	if sum > r.Shards {
		return fmt.Errorf("record of %d shards that vote, of %d", sum, r.Shards)
	}
	return nil
}

// price adds the steps of one of the two prices.
func (e *Explanation) price(what string, r ledger.PriceRecord, votes []token.Amount, before, after token.Amount) {
	type vote struct {
		who    string
		shards int
		price  token.Amount
	}
	silent := r.Shards
	var list []vote
	for i, id := range r.Nodes {
		if votes[i] > 0 {
			list = append(list, vote{fmt.Sprintf("node %s votes", id), int(r.Held[i]), votes[i]})
			silent -= int(r.Held[i])
		}
	}
	if silent > 0 {
		list = append(list, vote{"each shard without a vote stays with", silent, before})
	}
	slices.SortStableFunc(list, func(a, b vote) int { return cmp.Compare(a.price, b.price) })
	sum, lowest, found := 0, before, false
	for i, l := range list {
		was := sum
		sum += l.shards
		e.step(fmt.Sprintf("%d + %d = %d of %d shards", was, l.shards, sum, r.Shards), "%s: %s %s, and accepts all above", what, l.who, frost(l.price))
		last := i+1 == len(list) || list[i+1].price != l.price
		if last && !found && staking.Carried(sum, r.Shards) {
			lowest, found = l.price, true
			e.step(frost(lowest), "%s: with these it is more than two thirds: the lowest price that enough accept", what)
		}
	}
	least, most := staking.PriceBounds(before, r.BoundBps)
	e.step(fmt.Sprintf("%s x %d/10000: %s to %s", frost(before), r.BoundBps, frost(least), frost(most)), "%s: it was %s; a price moves so far in an epoch", what, frost(before))
	got := min(max(lowest, least), most)
	e.step(frost(got), "%s: so it becomes", what)
	if got != after {
		e.same(fmt.Sprintf("%s: the ledger has %s", what, frost(after)), false)
	}
}

// frost writes small amounts as people compare them.
func frost(a token.Amount) string { return fmt.Sprintf("%d FROST", uint64(a)) }
