package ledger

import (
	"strings"
	"testing"

	"github.com/walrus-network/walrus/token"
)

// TestTheStoryOfARubberstamp is told in testdata/rubberstamp.txt.
func TestTheStoryOfARubberstamp(t *testing.T) {
	p := asked()
	p.Challenge.FewBlobs = 1
	a := newArenaOf(t, p, 5)
	var k archive
	a.fill(&k, 20_000, 1)
	names := []string{"Anna", "Ben", "Cleo", "Dora", "Emil"}
	n := a.narrate("A rubberstamp pays")
	named := func(text string) string {
		for i, s := range a.secrets {
			text = strings.NewReplacer("node "+a.idOf(s).String(), names[i], a.idOf(s).String(), names[i]).Replace(text)
		}
		return strings.ReplaceAll(text, a.users[2].Address().String(), "Bob")
	}
	n.tell("Anna, Ben, Cleo, Dora and Emil each run a node that keeps two of the ten shards of what people store. Every hour the network asks for a piece of it, and whoever holds a shard sends a proof to all the others. Each node then says in its vote whose proofs it has seen. What more than a third has seen is paid.")
	n.tell("Looking at proofs is work. Ben, Cleo and Dora have found that nobody notices if they do not look: they vote yes on everything. Anna votes for what she has seen. Emil has found that nobody notices if he sends nothing.")
	a.deaf[0], a.deaf[4] = true, true // what Anna has not seen she says nothing of
	a.untilOver(1)
	r := a.untilOver(2)
	emil := a.committee().Duty(a.idOf(a.secrets[4]))[0]
	bens := a.committee().Duty(a.idOf(a.secrets[1]))[0]
	n.shows("shard-rounds for which Emil will be paid", a.credit(4).Passed)

	n.chapter("The demand")
	bob := a.users[2]
	n.holds("Bob", bob)
	n.tries(a.tries(bob, Dispute{Ordinal: r.Ordinal, Shard: emil}), "Bob stores with them and has asked around: nobody whom he asked has Emil's proof of this hour. He puts 10WAL on the table and demands it. For a quarter of an hour anybody may show it; if anybody does, Bob's money is gone.")
	n.tries(a.tries(bob, Dispute{Ordinal: r.Ordinal, Shard: emil}), "He tries to demand it once more.")
	n.tries(a.tries(bob, Dispute{Ordinal: r.Ordinal, Shard: bens}), "Carried away, he also demands Ben's proof, though Ben is lazy with others' proofs and not with his own.")
	n.holds("Bob", bob)
	n.shows("on the table", a.balanced().Disputes)
	n.tries(a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: bens, Proof: a.proof(&k, r, bens).Encode(), To: userKey(9).Address()})), "Ben's node has its proof, and shows it by itself. Bob's 10WAL are lost: a tenth of them goes to Ben for the trouble, the rest to nobody. It would be cheap to keep everybody busy otherwise.")
	n.holds("Ben", userKey(9))
	n.tries(a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: emil, Proof: a.lie(4, emil, r).Encode()})), "Emil makes something up, and signs it.")
	for a.dispute(r.Ordinal, emil).State == DisputeOpen {
		a.step()
	}
	n.tell("The time is over, and nobody has shown Emil's proof. Bob has his 10WAL back. Emil is not paid for that hour. It does not count as a failure: he might have proven it, nobody can know. But three have sworn to have seen what nobody has.")
	n.holds("Bob", bob)
	n.shows("on the table", a.balanced().Disputes)
	n.shows("shard-rounds for which Emil will be paid", a.credit(4).Passed)

	n.chapter("The bill")
	a.toEpochBySteps(1)
	n.tell("When the epoch ends the stakes of those who voted falsely are cut, each by a fifth of a percent: it is enough to make looking cheaper than not looking, and too little to ruin anybody whose program has erred. A twentieth of it goes to Bob.")
	for i, s := range a.secrets {
		o, _, err := a.view().Statement(0, a.idOf(s))
		ok(a.world, o, err)
		n.row("%-5s false votes %d, rung %d, lost %s, of it %s to Bob", names[i], o.FalseVotes, o.Verdict.Rung, o.Cut.Total(), o.Bounty)
	}
	n.holds("Bob", bob)
	if a.account(bob).Balance >= 100_000*token.WAL {
		t.Error("Bob's error cost him nothing")
	}

	n.chapter("Whoever doubts it looks")
	n.tell("The ledger keeps what shows it. Cleo asks why; the answer is worked out from that alone, by her own program:")
	e, err := ExplainSlash(a.view(), 0, a.idOf(a.secrets[2]))
	if ok(a.world, e, err); !e.Holds || len(e.Exhibits) != 1 {
		t.Fatalf("%+v", e)
	}
	again, err := ReplayExhibit(e.Exhibits[0], a.l.ChainID())
	ok(a.world, again, err)
	for _, s := range again.Steps[1:] {
		n.row("- %s %s", named(s.Text), strings.TrimSuffix("["+s.Sum+"]", "[]"))
	}
	n.end("rubberstamp.txt")
}
