package staking

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// A slash takes more for more, from the bond first, and never more than there is; what
// is not at risk stays.
func TestASlashIsMonotoneAndTakesTheBondFirst(t *testing.T) {
	for seed := range int64(2000) {
		r := rand.New(rand.NewSource(seed))
		amount := func() token.Amount { return token.Amount(r.Int63n(1 << r.Intn(50))) }
		p := Pool{Bond: amount(), Balance: amount(), Shares: Shares(1 + amount()), Owed: amount(), Earned: amount(),
			BondLeaving: []Deposit{{Amount: amount(), Epoch: 1}, {Amount: amount(), Epoch: 2}}, Joining: []Deposit{{Amount: amount(), Epoch: 1}}}
		p.Held.Add(amount(), 4)
		last := Cut{}
		for bps := unit.Bps(0); bps <= unit.Whole+500; bps += unit.Bps(1 + uint64(r.Intn(900))) {
			q := p
			q.BondLeaving = slices.Clone(p.BondLeaving)
			cut := q.Slash(bps)
			switch {
			case cut.Bond < last.Bond || cut.Balance < last.Balance:
				t.Fatalf("seed %d: %d/10000 take %+v, less than fewer", seed, bps, cut)
			case cut.Balance > 0 && cut.Bond != p.OwnBond():
				t.Fatalf("seed %d: %d/10000 take %+v, and %s of the bond are left", seed, bps, cut, q.OwnBond())
			case cut.Total() > p.AtRisk() || q.AtRisk()+cut.Total() != p.AtRisk() || q.Total()+cut.Total() != p.Total():
				t.Fatalf("seed %d: %+v of %s leave %s", seed, cut, p.AtRisk(), q.AtRisk())
			case q.Owed != p.Owed || q.Earned != p.Earned || q.Held.Total() != p.Held.Total() || sumOf(q.Joining) != sumOf(p.Joining):
				t.Fatalf("seed %d: what is not at risk was slashed", seed)
			case bps >= unit.Whole && q.AtRisk() != 0:
				t.Fatalf("seed %d: %s are left of all", seed, q.AtRisk())
			}
			last = cut
		}
	}
}

// What is left of several slashes in one epoch does not depend on their order beyond
// a FROST each, and is what one after the other takes: parts of what is left.
func TestTwoSlashesTakeTheSameInEitherOrder(t *testing.T) {
	for seed := range int64(500) {
		r := rand.New(rand.NewSource(seed))
		p := Pool{Bond: token.Amount(r.Int63n(1 << 40)), Balance: token.Amount(r.Int63n(1 << 40)), Shares: 1}
		q := p
		a, b := unit.Bps(r.Intn(unit.Whole)), unit.Bps(r.Intn(unit.Whole))
		p.Slash(a)
		p.Slash(b)
		q.Slash(b)
		q.Slash(a)
		if d := max(p.AtRisk(), q.AtRisk()) - min(p.AtRisk(), q.AtRisk()); d > 2 {
			t.Fatalf("seed %d: %s or %s are left", seed, p.AtRisk(), q.AtRisk())
		}
	}
}
