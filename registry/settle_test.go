package registry

import (
	"math/rand"
	"reflect"
	"testing"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// naive renews as the rule is said: an epoch at a time, while it is due and can be paid.
func naive(l Lease, units unit.KiB, now Half, p Params) (end unit.Epoch, left token.Amount) {
	end, left = l.End, l.Renewal.Left
	cost := p.Price * token.Amount(units)
	for left > 0 && now >= Half(2*end-1) && p.Price <= l.Renewal.Highest && left >= cost {
		left -= cost
		end++
	}
	return end, left
}

func TestRenewalsAreWhatAnEpochAtATimeGives(t *testing.T) {
	for seed := range int64(3) {
		r := rand.New(rand.NewSource(seed))
		renewed, moved, late := 0, 0, 0
		for range 20_000 {
			p := Params{Price: token.Amount(1 + r.Intn(5))}
			l := Lease{Owner: token.Address{1}, Payer: token.Address{byte(r.Intn(2))}, Start: 3, End: unit.Epoch(4 + uint64(r.Intn(6))), Price: token.Amount(7 * (1 + r.Intn(5)))}
			if r.Intn(4) > 0 {
				l.Renewal = Renewal{Payer: token.Address{byte(r.Intn(2))}, Left: token.Amount(1 + r.Intn(200)), Highest: token.Amount(r.Intn(6))}
			}
			e := Entry{Units: 7, CertifiedHeight: 1, Leases: []Lease{l}}
			now := Half(6 + r.Intn(20))
			end, left := naive(l, e.Units, now, p)
			s := e.Settle(now, p)
			all := append(append([]Lease(nil), s.Over...), s.Entry.Leases...)
			last := all[len(all)-1]
			paid, covered := token.Amount(0), uint64(0)
			for _, b := range s.Bought {
				paid += b.Total()
				if b.Start < now.Epoch() {
					late++
				}
			}
			for _, one := range all {
				covered += one.End.Since(one.Start)
				if one.Renews() && one.End != end {
					t.Fatalf("seed %d: the renewal is not on the last lease: %+v", seed, all)
				}
			}
			if last.End != end || last.Renewal.Left != left || covered != end.Since(l.Start) || l.Renewal.Left != left+paid {
				t.Fatalf("seed %d, half %d, price %d: %+v became %+v, bought %+v; want until %d with %d left", seed, now, p.Price, l, all, s.Bought, end, left)
			}
			if got := len(s.Entry.Leases) > 0; got != (end > now.Epoch()) {
				t.Fatalf("seed %d: goes on %v, ends %d, half %d", seed, got, end, now)
			}
			// Whoever settles twice, or in between, comes to the same.
			if again := s.Entry.Settle(now, p); len(again.Bought)+len(again.Over) > 0 || !reflect.DeepEqual(again.Entry, s.Entry) {
				t.Fatalf("seed %d: settled again: %+v", seed, again)
			}
			if len(s.Bought) > 0 {
				renewed++
			}
			if len(all) > 1 {
				moved++
				if all[0].Renews() || last.Payer != l.Renewal.Payer {
					t.Fatalf("seed %d: %+v", seed, all)
				}
			}
		}
		if renewed < 1000 || moved < 500 || late < 500 {
			t.Errorf("seed %d: %d renewed, %d as a lease of its own, %d late: the test is too thin", seed, renewed, moved, late)
		}
	}
}

func TestWhatIsNotSettledIsLiveAndDue(t *testing.T) {
	l := Lease{Start: 1, End: 4, Price: 10, Renewal: Renewal{Left: 10, Highest: 5}}
	e := Entry{Units: 2, RegisteredEpoch: 1, CertifiedHeight: 1, Leases: []Lease{l}}
	if e.Due() != 7 { // the middle of epoch 3
		t.Errorf("a renewal is due at %d", e.Due())
	}
	if !e.Live(4) {
		t.Error("a lease that is to be renewed is taken for ended before anybody looked")
	}
	if s := e.Settle(6, Params{Price: 5}); len(s.Bought) > 0 {
		t.Errorf("renewed in the first half of the last epoch: %+v", s)
	}
	e.CertifiedHeight = 0
	if e.Live(4) || e.Due() != 5 {
		t.Errorf("what is not certified renews itself; due at %d", e.Due())
	}
	if s := e.Settle(8, Params{Price: 5}); len(s.Bought) > 0 || len(s.Entry.Leases) > 0 || !s.Lapsed {
		t.Errorf("%+v", s)
	}
	e.CertifiedHeight, e.Leases[0].Renewal = 1, Renewal{}
	if e.Live(4) || e.Due() != 8 {
		t.Errorf("without a renewal: live %v, due at %d", e.Live(4), e.Due())
	}
}

func TestAPriceBeyondAnySupplyRenewsNothing(t *testing.T) {
	e := Entry{Units: 1 << 60, CertifiedHeight: 1, Leases: []Lease{{End: 4, Renewal: Renewal{Left: 10, Highest: 1 << 60}}}}
	p := Params{Price: 1 << 30}
	if s := e.Settle(7, p); len(s.Bought) > 0 || len(s.Entry.Leases) != 1 || !s.Entry.Leases[0].Renews() {
		t.Errorf("%+v", s)
	}
	if n := e.Leases[0].RenewableEpochs(p, e.Units); n != 0 {
		t.Errorf("lasts for %d epochs", n)
	}
	if _, err := p.CostOf(e.Units, 1, false); err == nil {
		t.Error("a price beyond any supply has a cost")
	}
}
