package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// A node that proves nothing loses stake and shards, however it mixes failing with being
// away: missing a reveal in every third round is no pardon.
func TestANodeThatProvesNothingIsSlashedAndLosesItsShards(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	habits := []struct {
		name   string
		silent func(round unit.Round) bool
	}{
		{"silent in every third", func(r unit.Round) bool { return r%3 == 0 && r < 8 }},
		{"never silent", func(unit.Round) bool { return false }},
		{"silent in a half of each", func(r unit.Round) bool { return r < 5 }},
		{"silent in every second", func(r unit.Round) bool { return r%2 == 0 }},
		{"silent in two thirds", func(r unit.Round) bool { return r%3 != 0 }},
		{"silent in all", func(unit.Round) bool { return true }},
	}
	for _, x := range habits[:testlevel.Repeat(0, 3, len(habits))] {
		p := asked()
		p.RoundsPerEpoch = 9
		a := newArenaOf(t, p, 5)
		id := a.idOf(a.secrets[0])
		for _, s := range a.committee().Duty(id) {
			a.unseen[s] = true
		}
		for a.head().Epoch < 4 {
			h := a.head()
			round := unit.Round((h.Height + 1).Since(h.EpochStart) / p.RoundBlocks % p.RoundsPerEpoch)
			a.silent[0] = x.silent(round)
			a.deaf[0] = a.silent[0]
			a.step()
		}
		cut, moved := false, false
		for e := range unit.Epoch(4) {
			s, _, err := a.view().Statement(e, id)
			ok(a.world, s, err)
			cut, moved = cut || s.Cut.Total() > 0, moved || s.Verdict.Move
			if why, err := ExplainSlash(a.view(), e, id); err != nil || !why.Holds {
				t.Errorf("%s, epoch %d: %v %+v", x.name, e, err, why)
			}
		}
		if held := len(a.committee().Duty(id)); !cut || !moved || held > 1 { // one moves in an epoch
			t.Errorf("%s: slashed %v, shards moved away %v, %d still held", x.name, cut, moved, held)
		}
	}
}

// habit is what a node does in one round of its own choice.
type habit struct{ there, proves, declares bool }

// habits are all that differ.
var habits = []habit{{true, true, false}, {true, false, false}, {false, false, false}, {true, false, true}, {true, true, true}}

// rounds is what the tally makes of a node that repeats some habits.
func tallied(p challenge.Params, period []habit, from, rounds int) (c staking.Credit) {
	away := -1
	votes := func(seen bool) []challenge.Attestation {
		yes := make([]byte, 1)
		if seen {
			yes[0] = 1
		}
		return []challenge.Attestation{{Power: 1, Listened: true, Yes: []byte{1}}, {Power: 9, Listened: true, Yes: yes}}
	}
	for r := range from + rounds {
		h := period[r%len(period)]
		holder := challenge.Holder{Ready: true, There: h.there, Lately: r > away, Declared: h.declares}
		if !h.there && !h.declares && !h.proves {
			away = max(away, r+int(p.UncreditedFor))
		}
		if out := challenge.Tally(10, votes(h.proves), []challenge.Holder{holder}); r >= from {
			c.Add(out.Outcomes[0], false)
		}
	}
	return c
}

// A search: of all habits of up to four rounds each one that proves less than half of what
// was asked loses shards and stake by the end of the second epoch; of those that change
// from epoch to epoch also each that proves less than two fifths of both.
func TestEveryHabitThatProvesLessThanHalfLosesShardsAndStake(t *testing.T) {
	const rounds = 336
	p, l := Default().Challenge, staking.Default().Ladder
	var all []staking.Credit
	var build func(period []habit)
	build = func(period []habit) {
		if len(period) > 0 {
			all = append(all, tallied(p, period, 12, rounds))
		}
		if len(period) < 4 {
			for _, h := range habits {
				build(append(append([]habit(nil), period...), h))
			}
		}
	}
	build(nil)
	lost, kept := 0, 0
	for i, first := range all {
		for _, k := range []int{i, (i*7 + 13) % len(all), (i*31 + 5) % len(all), 0} {
			second := all[k]
			var s staking.Sanctions
			v1, s := l.Judge(staking.Performance{Credit: first, Enough: true}, s, 3)
			v2, _ := l.Judge(staking.Performance{Credit: second, Enough: true}, s, 4)
			lacks := 2*first.Proven < first.Judged && 2*second.Proven < second.Judged || 10*(first.Proven+second.Proven) < 4*(first.Judged+second.Judged)
			switch punished := v1.Bps+v2.Bps > 0 && (v1.Move || v2.Move); {
			case lacks && !punished:
				t.Errorf("%+v and %+v: %+v %+v", first, second, v1, v2)
			case punished:
				lost++
			default:
				kept++
			}
		}
	}
	if len(all) != 5+25+125+625 || lost == 0 || kept == 0 {
		t.Errorf("%d habits, %d lose, %d keep", len(all), lost, kept)
	}
}
