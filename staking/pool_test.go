package staking

import (
	"errors"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// book keeps the rates of a pool's turns.
type book struct{ joined, left map[unit.Epoch]Rate }

func newBook() *book { return &book{map[unit.Epoch]Rate{}, map[unit.Epoch]Rate{}} }

func (b *book) Joined(e unit.Epoch) (Rate, bool) { r, ok := b.joined[e]; return r, ok }
func (b *book) Left(e unit.Epoch) (Rate, bool)   { r, ok := b.left[e]; return r, ok }

func (b *book) turn(p *Pool, epoch unit.Epoch, locked bool) {
	t := p.Turn(epoch, locked, locked)
	for _, in := range t.In {
		b.joined[in.Epoch] = t.Rate
	}
	for _, out := range t.Out {
		b.left[out.Epoch] = t.Rate
	}
}

// TestPoolsNeitherMakeNorLoseMoney plays deposits, withdrawals, rewards and slashes at random.
func TestPoolsNeitherMakeNorLoseMoney(t *testing.T) {
	params := Default()
	params.MinDelegation = 10
	for seed := range int64(60) {
		r := rand.New(rand.NewSource(seed))
		p, err := NewPool(token.Amount(1000+r.Intn(1000)), params.MinDelegation, unit.Bps(r.Intn(10001)))
		if err != nil {
			t.Fatal(err)
		}
		in, out := p.Total(), token.Amount(0)
		parts := make([]Delegation, 4)
		paid, drawn := make([]token.Amount, 4), make([]token.Amount, 4)
		rates := newBook()
		rewarded := false
		for epoch := unit.Epoch(0); epoch < 60; epoch++ {
			for range r.Intn(6) {
				i := r.Intn(len(parts))
				got := p.Settle(&parts[i], rates).Out
				out, drawn[i] = out+got, drawn[i]+got
				late := uint64(r.Intn(2)) // past the middle of the epoch
				if r.Intn(2) == 0 {
					a := token.Amount(r.Intn(1000))
					if err := p.Delegate(&parts[i], a, 0, epoch.Plus(late), params); err == nil {
						in, paid[i] = in+a, paid[i]+a
					}
				} else {
					_ = p.Undelegate(&parts[i], Shares(r.Int63n(int64(parts[i].Shares)+1)), epoch.Plus(late), params) // of nothing, now and then
				}
			}
			before := p.Rate()
			if seed%3 == 0 && r.Intn(2) == 0 {
				rewarded = true
				w := token.Amount(r.Intn(300))
				p.Reward(w)
				in += w
			}
			slashed := seed%3 == 1 && r.Intn(4) == 0
			if slashed {
				in -= p.Slash(unit.Bps(r.Intn(1500))).Total()
			}
			rates.turn(&p, epoch+1, r.Intn(4) == 0)
			if !slashed && !p.Rate().AtLeast(before) {
				t.Fatalf("seed %d: the rate fell from %+v to %+v", seed, before, p.Rate())
			}
			if p.Total()+out != in {
				t.Fatalf("seed %d epoch %d: %s in the pool, %s drawn, %s put in", seed, epoch, p.Total(), out, in)
			}
		}
		for i := range parts {
			if !rewarded && drawn[i] > paid[i] {
				t.Errorf("seed %d: %s out of %s without any reward", seed, drawn[i], paid[i])
			}
		}
	}
}

func TestTheFirstDepositorCannotRobTheSecond(t *testing.T) {
	params := Default()
	p, err := NewPool(10*token.WAL, params.MinDelegation, 0)
	if err != nil {
		t.Fatal(err)
	}
	var thief, victim Delegation
	rates := newBook()
	if err := p.Delegate(&thief, token.WAL, 0, 0, params); err != nil {
		t.Fatal(err)
	}
	rates.turn(&p, 1, false)
	p.Reward(1_000_000 * token.WAL) // the thief's own money, to make shares dear
	if err := p.Delegate(&victim, 100_000*token.WAL, 0, 1, params); err != nil {
		t.Fatal(err)
	}
	rates.turn(&p, 2, false)
	p.Settle(&victim, rates)
	if lost := 100_000*token.WAL - p.Rate().Worth(victim.Shares); lost > 100_000 {
		t.Fatalf("the victim lost %s by rounding", lost)
	}
}

func TestADepositIsRefusedWhereItBuysLessThanAskedFor(t *testing.T) {
	params := Default()
	p, _ := NewPool(10*token.WAL, params.MinDelegation, 0)
	var d Delegation
	if err := p.Delegate(&d, 5*token.WAL, Shares(5*token.WAL)+1, 0, params); !errors.Is(err, ErrTooLittle) {
		t.Fatal(err)
	}
	if err := p.Delegate(&d, 5*token.WAL, Shares(5*token.WAL), 0, params); err != nil {
		t.Fatal(err)
	}
}

func TestADelegatorThatJoinsARuinedPoolHasItsMoneyBack(t *testing.T) {
	params := Default()
	p, _ := NewPool(10*token.WAL, params.MinDelegation, 0)
	var d Delegation
	rates := newBook()
	if err := p.Delegate(&d, 5*token.WAL, 0, 0, params); err != nil {
		t.Fatal(err)
	}
	p.Slash(10000)
	rates.turn(&p, 1, false)
	if got := p.Settle(&d, rates).Out; got != 5*token.WAL || !d.IsEmpty() {
		t.Fatalf("%s came back of 5WAL", got)
	}
	if err := p.Delegate(&d, 5*token.WAL, 0, 1, params); !errors.Is(err, ErrRuined) {
		t.Fatal(err)
	}
}

func TestTheBondIsSlashedFirst(t *testing.T) {
	p := Pool{Bond: 30, BondLeaving: []Deposit{{Amount: 20, Epoch: 3}}, Balance: 951, Shares: 951}
	if cut := p.Slash(400); cut != (Cut{Bond: 41}) || p.Bond != 0 || p.BondLeaving[0].Amount != 9 {
		t.Fatalf("%+v %+v", cut, p) // 4 % of 1001, rounded up
	}
	if cut := p.Slash(500); cut != (Cut{Bond: 9, Balance: 39}) || p.Balance != 912 {
		t.Fatalf("%+v %+v", cut, p)
	}
}

func TestStakeOnItsWayOutIsSlashed(t *testing.T) {
	params := Default()
	p, _ := NewPool(10*token.WAL, params.MinDelegation, 0)
	var stays, leaves Delegation
	rates := newBook()
	for _, d := range []*Delegation{&stays, &leaves} {
		if err := p.Delegate(d, 1000*token.WAL, 0, 0, params); err != nil {
			t.Fatal(err)
		}
	}
	rates.turn(&p, 1, false)
	p.Settle(&stays, rates)
	p.Settle(&leaves, rates)
	if err := p.Undelegate(&leaves, leaves.Shares, 1, params); err != nil {
		t.Fatal(err)
	}
	p.Slash(1000)
	rates.turn(&p, 4, false)
	out := p.Settle(&leaves, rates).Out
	if worth := p.Rate().Worth(stays.Shares); out > worth || out+1 < worth || out >= 905*token.WAL {
		t.Fatalf("who left has %s, who stayed %s", out, worth)
	}
}

func TestAHigherCommissionTakesNotice(t *testing.T) {
	params := Default()
	p, _ := NewPool(10*token.WAL, params.MinDelegation, 500)
	set := func(bps unit.Bps, now unit.Epoch) {
		if err := p.SetCommission(bps, now, now, params); err != nil {
			t.Fatal(err)
		}
	}
	set(2000, 5)
	for epoch, want := range map[unit.Epoch]unit.Bps{6: 500, 7: 500, 8: 500} {
		if p.Turn(epoch, false, false); p.CommissionBps != want {
			t.Fatalf("epoch %d: %d", epoch, p.CommissionBps)
		}
	}
	if p.Turn(9, false, false); p.CommissionBps != 2000 {
		t.Fatal(p.CommissionBps)
	}
	set(100, 9)
	if p.Turn(10, false, false); p.CommissionBps != 100 {
		t.Fatal("a lower one acts at once")
	}
	if err := p.SetCommission(10001, 9, 9, params); !errors.Is(err, ErrTooMuch) {
		t.Fatal(err)
	}
}

func TestDelegationsBeyondWhatTheBondBacksDoNotCount(t *testing.T) {
	params := Default()
	p := Pool{Bond: 20, Balance: 10_000, Shares: 10_000}
	if got := p.Counted(1, params); got != 1000 {
		t.Fatal(got)
	}
	p.Bond = 500
	if got := p.Counted(1, params); got != 10_500 {
		t.Fatal(got)
	}
}

func TestTranchesSumToWhatWasHeld(t *testing.T) {
	for seed := range int64(200) {
		r := rand.New(rand.NewSource(seed))
		var h HeldPay
		in, out := token.Amount(0), token.Amount(0)
		for range 40 {
			paid, _, lost := h.Release(r.Intn(3) > 0, 8)
			out += paid + lost
			a := token.Amount(r.Intn(1000))
			h.Add(a, 8)
			in += a
			if h.Total()+out != in {
				t.Fatalf("seed %d: %d held, %d paid or lost, of %d", seed, h.Total(), out, in)
			}
		}
		for range 16 {
			paid, _, lost := h.Release(true, 8)
			out += paid + lost
		}
		if h.Total() != 0 || in != out {
			t.Fatalf("seed %d: %d is held for ever", seed, h.Total())
		}
	}
}

func TestAMissMovesATrancheOnceAndLosesItTheSecondTime(t *testing.T) {
	var h HeldPay
	h.Add(80, 8)
	if paid, deferred, lost := h.Release(false, 8); paid != 0 || deferred != 10 || lost != 0 {
		t.Fatal(paid, deferred, lost)
	}
	for i := range 7 {
		if paid, _, _ := h.Release(true, 8); paid != 10 {
			t.Fatalf("tranche %d: %d", i, paid)
		}
	}
	if paid, deferred, lost := h.Release(false, 8); paid != 0 || deferred != 0 || lost != 10 || h.Total() != 0 {
		t.Fatal(paid, deferred, lost, h)
	}
}

func TestAVoteForSmallerDelegationsUnseatsNoNode(t *testing.T) {
	params := Default()
	p, err := NewPool(params.MinBond, params.MinDelegation, 0)
	if err != nil || !params.Seated(p) {
		t.Fatal(err)
	}
	params.MinDelegation /= 2
	if !params.Seated(p) {
		t.Fatal("who bonded what was asked for is not given shards any more")
	}
	p.Bond--
	if params.Seated(p) {
		t.Fatal("less than the least bond")
	}
}
