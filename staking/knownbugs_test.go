package staking

import (
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Bugs that others had, and that this package is built not to have. Each test names its
// source.

// Rounding to even paid 2 for 1.6 shares: github.com/cosmos/cosmos-sdk/issues/1870.
func TestNoRoundingPaysTwoForOnePointSixShares(t *testing.T) {
	p := Pool{Balance: 8, Shares: 10} // two shares are worth 1.6 FROST
	if got := p.Rate().Worth(2); got != 1 {
		t.Errorf("two shares of 1.6 FROST pay %d", got)
	}
	if got, err := (Rate{Balance: 10, Shares: 8}).Buys(2); err != nil || got != 1 {
		t.Errorf("2 FROST buy %d shares, 1.6 are paid for: %v", got, err)
	}
	if got, err := p.Rate().Costs(1); err != nil || got != 2 {
		t.Errorf("1 FROST costs %d shares, 1.25 are worth it: %v", got, err)
	}
	for seed := range int64(5000) { // there and back never wins
		r := rand.New(rand.NewSource(seed))
		rate := Rate{Balance: 1 + token.Amount(r.Int63n(1<<r.Intn(40)+1)), Shares: 1 + Shares(r.Int63n(1<<r.Intn(40)+1))}
		a := token.Amount(r.Int63n(1 << 30))
		s, err := rate.Buys(a)
		if err != nil {
			continue
		}
		after := Rate{Balance: rate.Balance + a, Shares: rate.Shares + s}
		if back := after.Worth(s); back > a {
			t.Fatalf("seed %d: %d in, %d shares, %d out at %+v", seed, a, s, back, rate)
		}
	}
}

// A slash took from unbonding stake twice, once for the unbonding and once for where it
// had gone: github.com/cosmos/cosmos-sdk/issues/20688.
func TestUnbondingStakeIsSlashedOnce(t *testing.T) {
	params := Default()
	p, err := NewPool(params.MinDelegation, params.MinDelegation, 0) // no bond that would pay first
	if err != nil {
		t.Fatal(err)
	}
	var leaves, stays Delegation
	rates := newBook()
	for _, d := range []*Delegation{&leaves, &stays} {
		if err := p.Delegate(d, 1000*token.WAL, 0, 0, params); err != nil {
			t.Fatal(err)
		}
	}
	rates.turn(&p, 1, false)
	p.Settle(&leaves, rates)
	p.Settle(&stays, rates)
	if err := p.Undelegate(&leaves, leaves.Shares, 1, params); err != nil {
		t.Fatal(err)
	}
	if err := p.Delegate(&leaves, 1000*token.WAL, 0, 1, params); err != nil { // and it comes in again
		t.Fatal(err)
	}
	if cut := p.Slash(1000).Total(); cut != 2001*token.WAL/10 {
		t.Errorf("a tenth of 2001WAL is slashed with %s", cut)
	}
	rates.turn(&p, 2, false)
	rates.turn(&p, 4, false)
	out := p.Settle(&leaves, rates).Out
	if in := p.Rate().Worth(leaves.Shares); out != 900*token.WAL || in < 1000*token.WAL-1 || p.Rate().Worth(stays.Shares) < 900*token.WAL {
		t.Errorf("%s of 1000WAL left, %s of 1000WAL joined, who stayed has %s", out, in, p.Rate().Worth(stays.Shares))
	}
}

// A node's penalty came out of its uncollected commission alone, so that who drew it in
// time risked nothing (seen in restaked and pooled designs). Here stake pays: drawing
// before the slash changes nothing, and the operator's pay is not what is slashed.
func TestASlashTakesStakeAndNotUncollectedPay(t *testing.T) {
	slash := func(draw bool) (cut Cut, earned token.Amount) {
		p := Pool{Bond: 100, Balance: 900, Shares: 900, CommissionBps: unit.Whole}
		p.Reward(50)
		if draw {
			p.DrawEarned()
		}
		return p.Slash(2000), p.Earned
	}
	with, earned := slash(false)
	without, _ := slash(true)
	if with != without || with.Bond != 100 || with.Balance != 100 || earned != 50 {
		t.Errorf("slashed %+v with 50 uncollected, of which %d are left, and %+v without", with, earned, without)
	}
}

// Honest nodes were expelled for noise: one with 15 failures in 11,906 audits. Here that
// is no strike at all, nor is ten times as much; the first slash is beyond a tenth.
func TestAnHonestNodeIsNotPunishedForNoise(t *testing.T) {
	l, pay := Default().Ladder, Default().Pay
	for _, failed := range []uint64{0, 15, 150, 1190} {
		c := Credit{Assigned: 11906, Passed: 11906 - failed, Judged: 11906, Proven: 11906 - failed, Failed: failed}
		s := Sanctions{}
		for epoch := range unit.Epoch(100) {
			var v Verdict
			if v, s = l.Judge(Performance{Credit: c, Enough: true}, s, epoch); v != (Verdict{}) {
				t.Fatalf("%d failures, epoch %d: %+v", failed, epoch, v)
			}
			if s.NoNew(epoch+1) || s.Moves(epoch+1) || s.Jailed(epoch+2) || !c.Proves(pay.ReleaseBps) {
				t.Fatalf("%d failures, epoch %d: %+v", failed, epoch, s)
			}
		}
		b := Books{Bucket: 11906, Shares: 11906}
		if r, _ := b.Reward(c); r != token.Amount(11906-failed) {
			t.Errorf("%d failures cost %d", failed, 11906-r)
		}
	}
}
