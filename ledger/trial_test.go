package ledger

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// A trial must say what the ledger will do, refusals included, and leave it alone.
func TestATrialSaysWhatTheLedgerDoes(t *testing.T) {
	w := newWorld(t, small(), 4)
	for _, k := range w.users[:2] { // the operator, and another account
		triesAndDoes(t, w, k)
	}
}

func triesAndDoes(t *testing.T, w *world, alice token.Key) {
	id := w.g.Nodes[0].ID
	_, fresh := w.newcomer(alice, 7, 20*token.WAL)
	forged := fresh
	forged.NodeSignature[0] ^= 1
	for _, body := range []Body{
		Transfer{To: w.users[2].Address(), Amount: token.WAL},
		Transfer{To: w.users[2].Address(), Amount: 1_000_000 * token.WAL},
		Delegate{Node: id, Amount: 5 * token.WAL},
		Delegate{Node: id, Amount: token.WAL / 2},
		Delegate{Node: id, Amount: token.WAL, Least: 2_000_000_000_000},
		Undelegate{Node: id, Shares: 1},
		Withdraw{Node: id},
		Bond{Node: id, Amount: token.WAL},
		SetCommission{Node: id, Bps: 20_000},
		Vote{Node: id, Price: 5},
		forged,
		fresh,
		fresh,
	} {
		before := w.l.AppHash()
		after, tried := w.view().Try(w.g, alice.Public(), fee, body)
		if got := w.l.AppHash(); got != before {
			t.Fatalf("%T: a trial changed the ledger", body)
		}
		done := w.try(alice, body)
		if CodeOf(tried) != CodeOf(done) || (tried == nil) != (done == nil) {
			t.Errorf("%T: tried: %v; done: %v", body, tried, done)
		}
		if tried != nil {
			continue
		}
		would, err := after.Account(alice.Address())
		// A trial has no transaction, and so no hash.
		if is := w.account(alice); ok(w, would, err).Balance != is.Balance || would.Nonce != is.Nonce || would.Used != is.Used || len(would.Recent) != len(is.Recent) {
			t.Errorf("%T: the account would be %+v and is %+v", body, would, is)
		}
		wouldPool, _, err := after.Pool(id)
		isPool, _, err2 := w.view().Pool(id)
		if a, b := ok(w, wouldPool, err), ok(w, isPool, err2); a.Total() != b.Total() {
			t.Errorf("%T: the pool would hold %s and holds %s", body, a.Total(), b.Total())
		}
	}
}

func TestATrialNeedsAViewThatLists(t *testing.T) {
	w := newWorld(t, small(), 4)
	single := View{struct{ state.Reader }{w.view().R}}
	if _, err := single.Try(w.g, w.users[1].Public(), fee, Transfer{To: w.users[2].Address(), Amount: 1}); !errors.Is(err, ErrNoList) {
		t.Fatal(err)
	}
}
