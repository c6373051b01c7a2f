package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/token"
)

// TestTheStoryOfAVoteThatTriesToJumpThePrice is told in testdata/vote.txt.
func TestTheStoryOfAVoteThatTriesToJumpThePrice(t *testing.T) {
	w := newWorld(t, small(), 4)
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	names := []string{"Anna", "Ben", "Cleo", "Dora"}
	held := func(i int) int { return len(w.committee().Duty(w.g.Nodes[i].ID)) }
	tell := func(s string) string {
		for i, n := range w.g.Nodes {
			s = strings.ReplaceAll(s, "node "+n.ID.String(), names[i])
		}
		return s
	}
	now := func() {
		store, write := w.prices()
		say("    Epoch %d. A KiB costs %d FROST an epoch, and %d to write. A blob of 1 MB for 10 epochs: %s.", w.head().Epoch, store, write, w.quote(1_000_000, 10))
	}
	vote := func(i int, price token.Amount) {
		err := w.try(w.users[0], Vote{Node: w.g.Nodes[i].ID, Price: price})
		say("%s votes for %d FROST: %s.", names[i], price, map[bool]string{true: "the ballot stands until it is replaced", false: fmt.Sprint(err)}[err == nil])
	}
	next := func() {
		w.toEpoch(w.head().Epoch + 1)
		now()
	}
	say("A VOTE THAT TRIES TO JUMP THE PRICE")
	say("")
	say("A network of %d shards, in the hands of four: %s has %d, %s %d, %s %d, %s %d.", w.g.Params.Shards, names[0], held(0), names[1], held(1), names[2], held(2), names[3], held(3))
	say("The price is the lowest that more than two thirds of the shards accept: seven of ten.")
	say("Who says nothing accepts what is. In one epoch it moves by at most %d %%.", w.g.Params.Staking.PriceBoundBps/100)
	now()
	say("")
	say("One alone wants a hundred times as much.")
	vote(0, 100_000)
	next()
	say("    Seven shards are content with what is. Nothing happens.")
	say("")
	say("She finds a friend. Now too few are content, and the price has to rise.")
	vote(1, 100_000)
	next()
	say("    It did not jump: a fifth more, no further. Whoever stores has time to look.")
	say("")
	say("What the ledger's record of it says:")
	e, err := ExplainPrice(w.view(), w.head().Epoch)
	if err != nil || !e.Holds {
		t.Fatalf("%+v: %v", e, err)
	}
	for _, s := range e.Steps {
		if !strings.HasPrefix(s.Text, "writing") {
			say("    - %s", tell(strings.TrimSuffix(s.Text+"  ["+s.Sum+"]", "  []")))
		}
	}
	say("")
	say("The other two had been silent. A vote for less does not help them:")
	say("a lower price needs seven shards of ten, and they have five.")
	vote(2, 900)
	vote(3, 900)
	next()
	say("    Whoever has a third of the shards or more can push the price up, but not fast:")
	say("    no price is fair that one in three of the keepers does not accept.")
	say("")
	say("Ben has seen customers leave, and changes his mind.")
	vote(1, 1000)
	next()
	next()
	next()
	say("    Down again by a fifth each time, and it stays where seven shards agree.")
	say("")
	say("Could somebody else vote in Ben's name?")
	err = w.try(w.users[1], Vote{Node: w.g.Nodes[1].ID, Price: 100_000})
	say("A stranger signs a vote for his node: %s.", strings.NewReplacer(w.g.Nodes[1].ID.String(), names[1], w.users[0].Address().String(), "somebody else").Replace(err.Error()))
	w.balanced()
	golden.Check(t, "vote.txt", out.String())
}

// quote is what storing a blob costs now, for so many epochs.
func (w *world) quote(size int, epochs uint64) token.Amount {
	w.t.Helper()
	shape, err := w.g.Params.Shape()
	l, err2 := ok(w, shape, err).Layout(int64(size))
	price, err3 := w.rules().Params.Registry.PriceOf(ok(w, l, err2).StoredKiB())
	all, err4 := ok(w, price, err3).Mul(epochs)
	return ok(w, all, err4)
}
