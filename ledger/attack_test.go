package ledger

import (
	"slices"
	"testing"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
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

// Two nodes that work together reveal what is wrong by the same amount, up and down: the sum is
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
	if c := a.credit(1); c.Passed != 6 {
		t.Fatalf("who reveals what is wrong, and proves: %+v", c)
	}
}

// A node that sees what the others reveal can hold back its own to get another beacon.
// It does not know which it would get, as the signatures of the proposer and of the closers are
// missing still.
func TestAbstainingChoosesBlindly(t *testing.T) {
	present, a := drawnWith(t, func(*arena) {})
	closer, last := present.Closers[0], 0
	for i, s := range a.secrets {
		if k, _ := a.committee().Index(a.idOf(s)); k == int(closer) {
			last = i
		}
	}
	var seen []challenge.Beacon
	for proposer := range 3 {
		absent, _ := drawnWith(t, func(a *arena) {
			a.silent[4] = true
			a.chooser = func(Wants) int { return proposer }
		})
		if absent.Beacon == present.Beacon || slices.Contains(seen, absent.Beacon) {
			t.Fatal("what he would get can be known before the reveals are closed")
		}
		seen = append(seen, absent.Beacon)
	}
	unclosed, _ := drawnWith(t, func(a *arena) { a.silent[4], a.unclosed[last] = true, true; a.chooser = func(Wants) int { return 0 } })
	if unclosed.Beacon == seen[0] {
		t.Fatal("what he would get can be known before the closer signs")
	}
}

// The last closer sees the draw before the others, and may be silent to get another. It
// loses as many shard-rounds as a fifth of all shards has in one,
// and the draw is late, but comes.
func TestASilentCloserPaysWhatItCouldSave(t *testing.T) {
	for _, nodes := range []int{5, 10} { // of two shards each, and of one
		a := newArena(t, nodes)
		for i := range nodes {
			a.unclosed[i] = true
		}
		r := a.untilOver(0)
		if !r.Drawn || r.T != r.Nominal.Plus(a.g.Params.Challenge.Patience())-1 || r.Turn != 1 {
			t.Fatalf("%d nodes: %+v", nodes, r)
		}
		shards := 10 / nodes
		for i, m := range a.committee().Nodes {
			c := a.tally().Nodes[i]
			if want := uint64(shards); i == int(r.Closers[0]) {
				if c.Away != want || c.Passed != 0 {
					t.Errorf("%d nodes, the closer: %+v", nodes, c)
				}
			} else if c.Passed != want {
				t.Errorf("%d nodes, %s: %+v", nodes, m.ID, c)
			}
		}
	}
	for held, rounds := range map[int]uint64{1: 20, 2: 10, 3: 7, 8: 3, 10: 2, 20: 1, 33: 1} {
		if got := challenge.SilentFor(held, 100); got != rounds {
			t.Errorf("a closer with %d shards of 100 is away for %d rounds, want %d", held, got, rounds)
		}
	}
}

// Whose proofs would not hold may hope that a round is void. A third of the shards or
// less voids nothing: each that failed counts. More than a third takes away the strikes
// and no more: a node that failed is not paid, one that passed is.
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
	// Blocks that come too slowly for the freeze to hold: a node that fetched what it lacked in the
	// meantime is paid as little as one that proved nothing, and the money for the round goes to
	// no other node.
	reward := func(slow bool) (token.Amount, token.Amount) {
		a := newArena(t, 5)
		for _, s := range a.committee().Duty(a.idOf(a.secrets[0])) {
			a.unseen[s] = true
		}
		if slow {
			a.pace = 3 * 500 * 2
		}
		a.untilOver(0)
		clear(a.unseen)
		a.pace = 500
		a.toEpochBySteps(1)
		s, _, err := a.view().Statement(0, a.idOf(a.secrets[0]))
		ok(a.world, s, err)
		h, _, err := a.view().Statement(0, a.idOf(a.secrets[4]))
		ok(a.world, h, err)
		if want := map[bool]uint64{false: 6, true: 4}[slow]; s.Credit.Passed != 4 || h.Credit.Passed != want || s.Credit.Assigned != 6 {
			t.Fatalf("slow %v: %+v %+v", slow, s.Credit, h.Credit)
		}
		a.balanced()
		return s.Reward, h.Reward
	}
	judged, _ := reward(false)
	voided, others := reward(true)
	if voided > judged || others > voided {
		t.Fatalf("paid %s if the round that it fails is judged, %s if its blocks are slow; others %s", judged, voided, others)
	}
}

// Rounds that are void put a verdict off, and do not spare it: what was judged in epochs
// with too few judged rounds counts with the next.
func TestVoidRoundsSpareNoNodeTheLadder(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	p := asked()
	p.RoundsPerEpoch = 8
	a := newArenaOf(t, p, 5)
	id := a.idOf(a.secrets[0])
	for _, s := range a.committee().Duty(id) {
		a.unseen[s] = true
	}
	for a.head().Epoch < 6 {
		a.pace = 500
		if h := a.head(); h.Height.Since(h.EpochStart)/p.RoundBlocks < 5 { // five of eight rounds
			a.pace = 3 * 500 * 2
		}
		a.step()
	}
	slashed := 0
	for e := range unit.Epoch(6) {
		s, _, err := a.view().Statement(e, id)
		ok(a.world, s, err)
		if s.Verdict.Bps > 0 {
			slashed++
		}
		if why, err := ExplainSlash(a.view(), e, id); err != nil || !why.Holds {
			t.Errorf("epoch %d: %v %+v", e, err, why)
		}
	}
	if slashed == 0 {
		t.Error("who voids five rounds of eight proves nothing, and is never slashed")
	}
}

// Less than a third of the power that votes no on all shards fails none, and a third
// of the reveals moves no draw.
func TestAThirdThatVotesNoFailsNoShard(t *testing.T) {
	a := newArena(t, 5)
	a.lies = map[int]bool{0: true}
	a.untilOver(0)
	for i := range a.secrets {
		if c := a.credit(i); c.Passed != 2 || c.Failed != 0 {
			t.Fatalf("node %d: %+v", i, c)
		}
	}
}
