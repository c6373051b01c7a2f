package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// wholeStory is a court in which everything happens that a statement can tell of.
func wholeStory(t testing.TB) *court {
	c := newCourt(t, judged(), 5)
	id := func(i int) staking.NodeID { return c.g.Nodes[i].ID }
	c.do(c.users[1], Delegate{Node: id(0), Amount: 60 * token.WAL})
	c.do(c.users[1], Delegate{Node: id(1), Amount: 3000 * token.WAL})
	c.pay(1000 * token.WAL)
	c.epoch()
	c.set(id(1), staking.Failed) // all of epoch 1
	c.pay(1000 * token.WAL)
	c.epoch(Fault{Node: id(2), Kind: Lie, Epoch: 1, Round: 3, Finder: c.users[2].Address()}, Fault{Node: id(2), Kind: FalseVote, Epoch: 0, Round: 9})
	delete(c.fate, id(1))
	c.set(id(3), staking.Away)
	c.pay(1000 * token.WAL)
	c.epoch()
	c.epoch()
	delete(c.fate, id(3))
	if _, err := c.l.Run(Block{DoubleSigns: []DoubleSign{{Node: id(4), Height: c.head().Height - 1, Power: 2}}}); err != nil {
		t.Fatal(err)
	}
	c.pay(1000 * token.WAL)
	c.epoch()
	return c
}

// TestTheExplanationsOfAStory are in testdata/explain.txt.
func TestTheExplanationsOfAStory(t *testing.T) {
	c := wholeStory(t)
	var out strings.Builder
	for _, x := range []struct {
		about func(View, uint64, staking.NodeID) (Explanation, error)
		epoch uint64
		node  int
	}{
		{ExplainReward, 0, 0}, {ExplainReward, 1, 0}, {ExplainReward, 1, 1}, {ExplainSlash, 0, 0}, {ExplainSlash, 1, 1}, {ExplainSlash, 1, 2}, {ExplainSlash, 3, 3}, {ExplainReward, 3, 3}, {ExplainSlash, 4, 4},
	} {
		e, err := x.about(c.view(), x.epoch, c.g.Nodes[x.node].ID)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, e.Title)
		for i, s := range e.Steps {
			fmt.Fprintf(&out, "%3d  %s\n", i+1, s.Text)
			if s.Sum != "" {
				fmt.Fprintf(&out, "       [%s]\n", s.Sum)
			}
		}
		fmt.Fprintf(&out, "     it is what the ledger did: %v\n\n", e.Holds)
	}
	golden.Check(t, "explain.txt", out.String())
}

// holds explains everything that is on record, and counts how much that was.
func (c *court) explains(t *testing.T) (n int) {
	t.Helper()
	for epoch := range c.head().Epoch {
		for i, node := range c.g.Nodes {
			for _, about := range []func(View, uint64, staking.NodeID) (Explanation, error){ExplainReward, ExplainSlash} {
				e, err := about(c.view(), epoch, node.ID)
				if errors.Is(err, ErrNoRecord) {
					continue
				}
				if err != nil || !e.Holds {
					t.Fatalf("epoch %d, node %d: %v\n%+v\n%+v", epoch, i, err, e, c.statement(epoch, node.ID))
				}
				n++
			}
		}
	}
	return n
}

func TestEveryRecordExplainsItself(t *testing.T) {
	if n := wholeStory(t).explains(t); n < 40 {
		t.Fatalf("%d explanations", n)
	}
	const seed = 20
	r := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d", seed)
	c := newCourt(t, judged(), 5)
	for range 12 {
		c.pay(token.Amount(1+r.IntN(2000)) * token.WAL)
		_ = c.try(c.users[1], Delegate{Node: c.g.Nodes[r.IntN(5)].ID, Amount: token.Amount(1+r.IntN(100)) * token.WAL})
		var faults []Fault
		for i := range 5 {
			delete(c.fate, c.g.Nodes[i].ID)
			if r.IntN(4) == 0 {
				c.set(c.g.Nodes[i].ID, staking.Outcome(r.IntN(5)))
			}
			if r.IntN(12) == 0 {
				faults = append(faults, Fault{Node: c.g.Nodes[i].ID, Kind: Lie + FaultKind(r.IntN(2)), Epoch: c.head().Epoch, Round: uint64(r.IntN(9)), Finder: c.users[r.IntN(3)].Address()})
			}
		}
		c.rounds(1+r.IntN(4), faults...)
		c.fate = map[staking.NodeID]staking.Outcome{}
		c.epoch()
	}
	if n := c.explains(t); n < 100 {
		t.Fatalf("%d explanations", n)
	}
}

// forged is a view in which one record was changed.
type forged struct {
	state.Reader
	key, value []byte
}

func (f forged) Get(k []byte) ([]byte, bool, error) {
	if string(k) == string(f.key) {
		return f.value, true, nil
	}
	return f.Reader.Get(k)
}

// TestAFigureThatIsNotTrueIsFoundOut changes each figure of a statement, one at a time:
// what explains must then not hold, or refuse the record.
func TestAFigureThatIsNotTrueIsFoundOut(t *testing.T) {
	c := wholeStory(t)
	told := map[string]bool{ // nothing follows from one more or less of it
		"Shards": true, "PaidEpochs": true, "Paid": true, "Credit.Assigned": true, "Credit.Judged": true, "Credit.Proven": true, "Credit.Failed": true, "Credit.Away": true,
		"RecentLies": true, "DoublePower": true, "DoubleTaken": true, "HoldBps": true, "Price.Shares": true, "Price.Returned": true,
	}
	found := map[string]bool{}
	for _, at := range []struct {
		epoch uint64
		node  int
	}{{1, 0}, {1, 1}, {1, 2}, {3, 3}, {4, 4}} {
		id := c.g.Nodes[at.node].ID
		was := c.statement(at.epoch, id)
		each := func(name string, forge func(*Statement)) {
			s := was
			forge(&s)
			v := View{forged{c.view().R, KeyStatement(at.epoch, id), canon.Encode(s)}}
			a, err := ExplainReward(v, at.epoch, id)
			b, err2 := ExplainSlash(v, at.epoch, id)
			found[name] = found[name] || err != nil || err2 != nil || !a.Holds || !b.Holds
		}
		eachFigure(reflect.TypeOf(was), nil, "", func(name string, path []int) {
			each(name, func(s *Statement) { bump(reflect.ValueOf(s).Elem().FieldByIndex(path)) })
		})
	}
	for name, ok := range found {
		if !ok && !told[name] {
			t.Errorf("%s can be changed and nobody finds out", name)
		}
	}
	if len(found) < 45 {
		t.Fatalf("only %d figures were tried", len(found))
	}
}

// eachFigure walks the numbers and booleans of a struct.
func eachFigure(of reflect.Type, path []int, prefix string, fn func(name string, path []int)) {
	for i := range of.NumField() {
		f := of.Field(i)
		here := append(append([]int(nil), path...), i)
		switch f.Type.Kind() {
		case reflect.Struct:
			if f.Name != "_" {
				eachFigure(f.Type, here, prefix+f.Name+".", fn)
			}
		case reflect.Bool, reflect.Uint64, reflect.Uint8, reflect.Array:
			fn(prefix+f.Name, here)
		}
	}
}

func bump(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Array:
		for i := range v.Len() {
			bump(v.Index(i))
		}
	default:
		v.SetUint(v.Uint() + 1)
	}
}

func TestWhatIsNotOnRecordIsNotExplained(t *testing.T) {
	c := newCourt(t, judged(), 5)
	c.epoch()
	id := c.g.Nodes[0].ID
	if _, err := ExplainReward(c.view(), 1, id); !errors.Is(err, ErrNoRecord) || !strings.Contains(err.Error(), "now is epoch 1") {
		t.Error(err)
	}
	if _, err := ExplainSlash(c.view(), 0, staking.NodeID{7}); !errors.Is(err, ErrUnknownNode) {
		t.Error(err)
	}
	newcomer, body := c.newcomer(c.users[3], 7, 300*token.WAL)
	c.do(c.users[3], body)
	if _, err := ExplainReward(c.view(), 0, newcomer); !errors.Is(err, ErrNoRecord) || !strings.Contains(err.Error(), "no shards") {
		t.Error(err)
	}
	broken := View{forged{c.view().R, KeyTerms(0), canon.Encode(Terms{Shards: 10, Pay: staking.PayParams{FeeBps: 20_000, Tranches: 1}})}}
	if _, err := ExplainReward(broken, 0, id); err == nil || !strings.Contains(err.Error(), "cannot be") {
		t.Error(err)
	}
}

// What explains goes together: an epoch of which a part is forgotten explains nothing.
func TestAllRecordsOfAnEpochAreKeptEquallyLong(t *testing.T) {
	p := judged()
	p.HistoryEpochs = 3
	c := newCourt(t, p, 5)
	for range 6 {
		c.epoch()
	}
	for epoch := range uint64(6) {
		_, s, err := c.view().Statement(epoch, c.g.Nodes[0].ID)
		_, b, err2 := c.view().Books(epoch)
		_, terms, err3 := c.view().Terms(epoch)
		if kept := epoch+3 > 6; err != nil || err2 != nil || err3 != nil || s != kept || b != kept || terms != kept {
			t.Errorf("epoch %d: statement %v, books %v, terms %v", epoch, s, b, terms)
		}
	}
}

func TestASharesGainIsRoundedDownAndItsLossUp(t *testing.T) {
	s := Statement{Price: staking.Rate{Balance: 100, Shares: 3}, Payment: staking.Payment{Delegators: 10}, Cut: staking.Cut{Balance: 10}}
	if s.GainOf(1) != 3 || s.LossOf(1) != 4 || s.GainOf(9) != 10 || (Statement{}).GainOf(1) != 0 || (Statement{}).LossOf(1) != 0 {
		t.Errorf("%d, %d, %d", s.GainOf(1), s.LossOf(1), s.GainOf(9))
	}
}
