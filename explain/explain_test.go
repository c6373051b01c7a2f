package explain

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// wholeStory is a world in which everything happens that a statement can tell of.
func wholeStory(t testing.TB) *world {
	c := newWorld(t, judged(), 5)
	id := func(i int) staking.NodeID { return c.Genesis.Nodes[i].ID }
	c.do(c.users[1], ledger.Delegate{Node: id(0), Amount: 60 * token.WAL})
	c.do(c.users[1], ledger.Delegate{Node: id(1), Amount: 3000 * token.WAL})
	c.pay(1000 * token.WAL)
	c.Epoch()
	c.Fate[id(1)] = staking.Failed // all of epoch 1
	c.pay(1000 * token.WAL)
	c.Epoch(ledger.Fault{Node: id(2), Kind: ledger.Lie, Epoch: 1, Round: 3, Finder: c.users[2].Address()}, ledger.Fault{Node: id(2), Kind: ledger.FalseVote, Epoch: 0, Round: 9})
	delete(c.Fate, id(1))
	c.Fate[id(3)] = staking.Away
	c.pay(1000 * token.WAL)
	c.Epoch()
	c.Epoch()
	delete(c.Fate, id(3))
	if _, err := c.Ledger.Run(ledger.Block{DoubleSigns: []ledger.DoubleSign{{Node: id(4), Height: c.Head().Height - 1, Power: 2}}}); err != nil {
		t.Fatal(err)
	}
	c.pay(1000 * token.WAL)
	c.Epoch()
	return c
}

// TestTheExplanationsOfAStory are in testdata/explain.txt.
func TestTheExplanationsOfAStory(t *testing.T) {
	c := wholeStory(t)
	var out strings.Builder
	for _, x := range []struct {
		about func(ledger.View, unit.Epoch, staking.NodeID) (Explanation, error)
		epoch unit.Epoch
		node  int
	}{
		{Reward, 0, 0}, {Reward, 1, 0}, {Reward, 1, 1}, {Slash, 0, 0}, {Slash, 1, 1}, {Slash, 1, 2}, {Slash, 3, 3}, {Reward, 3, 3}, {Slash, 4, 4},
	} {
		e, err := x.about(c.View(), x.epoch, c.Genesis.Nodes[x.node].ID)
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

// explains works every record out again, and returns their number.
func (c *world) explains(t *testing.T) (n int) {
	t.Helper()
	for epoch := range c.Head().Epoch {
		for i, node := range c.Genesis.Nodes {
			for _, about := range []func(ledger.View, unit.Epoch, staking.NodeID) (Explanation, error){Reward, Slash} {
				e, err := about(c.View(), epoch, node.ID)
				if errors.Is(err, ErrNoRecord) {
					continue
				}
				if err != nil || !e.Holds {
					t.Fatalf("epoch %d, node %d: %v\n%+v\n%+v", epoch, i, err, e, c.Statement(epoch, node.ID))
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
	c := newWorld(t, judged(), 5)
	for range 12 {
		c.pay(token.Amount(1+r.IntN(2000)) * token.WAL)
		_ = c.try(c.users[1], ledger.Delegate{Node: c.Genesis.Nodes[r.IntN(5)].ID, Amount: token.Amount(1+r.IntN(100)) * token.WAL})
		var faults []ledger.Fault
		for i := range 5 {
			delete(c.Fate, c.Genesis.Nodes[i].ID)
			if r.IntN(4) == 0 {
				c.Fate[c.Genesis.Nodes[i].ID] = staking.Outcome(r.IntN(5))
			}
			if r.IntN(12) == 0 {
				faults = append(faults, ledger.Fault{Node: c.Genesis.Nodes[i].ID, Kind: ledger.Lie + ledger.FaultKind(r.IntN(2)), Epoch: c.Head().Epoch, Round: unit.Round(r.IntN(9)), Finder: c.users[r.IntN(3)].Address()})
			}
		}
		c.Rounds(1+r.IntN(4), faults...)
		c.Fate = map[staking.NodeID]staking.Outcome{}
		c.Epoch()
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
		"RecentLies": true, "DoublePower": true, "DoubleTaken": true, "Price.Shares": true, "Price.Returned": true,
	}
	found := map[string]bool{}
	for _, at := range []struct {
		epoch unit.Epoch
		node  int
	}{{1, 0}, {1, 1}, {1, 2}, {3, 3}, {4, 4}} {
		id := c.Genesis.Nodes[at.node].ID
		was := c.Statement(at.epoch, id)
		each := func(name string, forge func(*ledger.Statement)) {
			s := was
			forge(&s)
			v := ledger.View{R: forged{c.View().R, ledger.KeyStatement(at.epoch, id), canon.Encode(s)}}
			a, err := Reward(v, at.epoch, id)
			b, err2 := Slash(v, at.epoch, id)
			found[name] = found[name] || err != nil || err2 != nil || !a.Holds || !b.Holds
		}
		eachFigure(reflect.TypeOf(was), nil, "", func(name string, path []int) {
			each(name, func(s *ledger.Statement) { bump(reflect.ValueOf(s).Elem().FieldByIndex(path)) })
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
	c := newWorld(t, judged(), 5)
	c.Epoch()
	id := c.Genesis.Nodes[0].ID
	if _, err := Reward(c.View(), 1, id); !errors.Is(err, ErrNoRecord) || !strings.Contains(err.Error(), "now is epoch 1") {
		t.Error(err)
	}
	if _, err := Slash(c.View(), 0, staking.NodeID{7}); !errors.Is(err, ledger.ErrUnknownNode) {
		t.Error(err)
	}
	op, secret := c.users[3], nodeSecret(7)
	body := ledger.RegisterNode{Addresses: []string{"/ip4/127.0.0.1/tcp/9"}, Comet: "127.0.0.1:9", CapacityKiB: 1 << 30, Name: "new", Bond: 300 * token.WAL, CommissionBps: 500}
	body = body.Prove(c.Ledger.ChainID(), c.Genesis.Name, op.Address(), secret.Key(), secret.BLSKey())
	c.do(op, body)
	if _, err := Reward(c.View(), 0, body.Node); !errors.Is(err, ErrNoRecord) || !strings.Contains(err.Error(), "no shards") {
		t.Error(err)
	}
	broken := ledger.View{R: forged{c.View().R, ledger.KeyTerms(0), canon.Encode(ledger.Terms{Shards: 10, Pay: staking.PayParams{FeeBps: 20_000, Tranches: 1}})}}
	if _, err := Reward(broken, 0, id); err == nil || !strings.Contains(err.Error(), "cannot be") {
		t.Error(err)
	}
}

// Whatever records a stranger sends: an explanation or an error, and no overflow.
func FuzzRecordsOfStrangers(f *testing.F) {
	c := wholeStory(f)
	for _, at := range []struct {
		epoch unit.Epoch
		node  int
	}{{1, 0}, {1, 1}, {1, 2}, {3, 3}, {4, 4}} {
		f.Add(uint8(0), canon.Encode(c.Statement(at.epoch, c.ID(at.node))))
	}
	terms, _, err := c.View().Terms(1)
	books, _, err2 := c.View().Books(1)
	if err := errors.Join(err, err2); err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(1), canon.Encode(terms))
	f.Add(uint8(2), canon.Encode(books))
	v, id := c.View(), c.ID(1)
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		key := [][]byte{ledger.KeyStatement(1, id), ledger.KeyTerms(1), ledger.KeyBooks(1)}[which%3]
		from := ledger.View{R: forged{v.R, key, raw}}
		a, err := Reward(from, 1, id)
		b, err2 := Slash(from, 1, id)
		if err == nil && len(a.Steps) == 0 || err2 == nil && len(b.Steps) == 0 {
			t.Error("an explanation without a step")
		}
	})
}
