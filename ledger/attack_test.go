package ledger

import (
	"slices"
	"testing"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/token"
)

// The attacks on a round that the rules of challenges answer, as doc/threat-model.md
// lists them. Each test fails when its rule is taken out.

// drawnWith is the round with questions of an arena that something is done to first.
func drawnWith(t *testing.T, change func(*arena)) (RoundState, *arena) {
	t.Helper()
	a := newArena(t, 5)
	for i := range 20 {
		a.stored(i)
	}
	a.untilOver(1)
	change(a)
	r := a.untilOver(2)
	if len(r.Drawings) == 0 {
		t.Fatal("nothing was drawn")
	}
	return r, a
}

// negated is the signature whose sum with s is nothing.
func negated(s token.BLSSignature) token.BLSSignature {
	s[0] ^= 0x20 // the sign of the point's second coordinate
	return s
}

// Two who work together reveal what is wrong by the same amount, up and down: the sum is
// right. If what each of them wrote were hashed they could choose among as many beacons
// as there are amounts.
func TestWrongRevealsThatCancelOutChooseNothing(t *testing.T) {
	honest, _ := drawnWith(t, func(*arena) {})
	for amount := range byte(3) {
		by := token.Secret{99, amount}.BLSKey().Sign([]byte("an amount"))
		bent, _ := drawnWith(t, func(a *arena) {
			a.bend = func(i int, s token.BLSSignature) token.BLSSignature {
				part := by
				switch i {
				case 1:
				case 2:
					part = negated(by)
				default:
					return s
				}
				sum, err := token.AggregateBLS([]token.BLSSignature{s, part})
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
		})
		if len(bent.Votes) != len(honest.Votes) || bent.Beacon != honest.Beacon {
			t.Fatalf("amount %d: another beacon", amount)
		}
	}
	// Alone, such a reveal is wrong, and as good as none.
	alone, a := drawnWith(t, func(a *arena) {
		a.bend = func(i int, s token.BLSSignature) token.BLSSignature {
			if i == 1 {
				return negated(s)
			}
			return s
		}
	})
	silent, _ := drawnWith(t, func(a *arena) { a.silent[1] = true })
	if alone.Beacon != silent.Beacon || alone.Beacon == honest.Beacon {
		t.Fatal("a wrong reveal is not as none")
	}
	if c := a.credit(1); c.Away != 2 {
		t.Fatalf("who reveals what is wrong: %+v", c)
	}
}

// Who sees what the others reveal can hold back his own to get another beacon. He does
// not know which he would get, as the proposer's signature is missing still, and loses
// three rounds' pay each time.
func TestAbstainingChoosesBlindlyAndCostsThreeRounds(t *testing.T) {
	present, _ := drawnWith(t, func(*arena) {})
	var seen []challenge.Beacon
	for proposer := range 3 {
		absent, a := drawnWith(t, func(a *arena) {
			a.silent[4] = true
			a.chooser = func(Wants) int { return proposer }
		})
		if absent.Beacon == present.Beacon || slices.Contains(seen, absent.Beacon) {
			t.Fatal("what he would get can be known before the block is proposed")
		}
		seen = append(seen, absent.Beacon)
		delete(a.silent, 4)
		before := a.credit(0)
		a.untilOver(0)
		a.untilOver(1) // of the next epoch
		if c := a.credit(4); c.Passed != 0 || c.Assigned != 4 {
			t.Fatalf("two rounds later: %+v; others %+v", c, before)
		}
		a.untilOver(2)
		if c := a.credit(4); c.Passed != 2 {
			t.Fatalf("three rounds later: %+v", c)
		}
	}
}

// Whose proofs would not hold may hope that a round is void. A third of the shards or
// less voids nothing: each that failed counts. More than a third takes away the strikes
// and no more: who failed is not paid, who passed is.
func TestVoidingARoundGainsNothing(t *testing.T) {
	for failing, void := range map[int]bool{1: false, 2: true} { // nodes of two shards in ten
		a := newArena(t, 5)
		for i := range failing {
			for _, s := range a.committee().Duty(a.idOf(a.secrets[i])) {
				a.unseen[s] = true
			}
		}
		a.untilOver(0)
		strikes := uint64(2)
		if void {
			strikes = 0
		}
		if c := a.credit(0); c.Passed != 0 || c.Failed != strikes || c.Assigned != 2 {
			t.Fatalf("%d nodes fail: %+v", failing, c)
		}
		if c := a.credit(4); c.Passed != 2 || c.Failed != 0 {
			t.Fatalf("%d nodes fail, another passed: %+v", failing, c)
		}
		if n := a.tally(); n.Tallied != 1 || (n.Judged == 0) != void {
			t.Fatalf("%d nodes fail: %+v", failing, n)
		}
	}
}

// Less than a third of the power that votes no on everybody fails nobody, and a third
// of the reveals moves no draw.
func TestAThirdThatVotesNoFailsNobody(t *testing.T) {
	a := newArena(t, 5)
	a.lies = map[int]bool{0: true}
	a.untilOver(0)
	for i := range a.secrets {
		if c := a.credit(i); c.Passed != 2 || c.Failed != 0 {
			t.Fatalf("node %d: %+v", i, c)
		}
	}
}
