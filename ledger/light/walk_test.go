package light

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// counted is a disk that counts the keys that walks come by.
type counted struct {
	*state.Memory
	walked atomic.Int64
}

func (c *counted) EachAfter(prefix, after []byte, fn func(k, v []byte) error) error {
	return c.Memory.EachAfter(prefix, after, func(k, v []byte) error {
		c.walked.Add(1)
		return fn(k, v)
	})
}

func (c *counted) Each(prefix []byte, fn func(k, v []byte) error) error {
	return c.EachAfter(prefix, nil, fn)
}

// library is a chain whose state holds, beside the genesis, keys that a test puts there,
// with a header that names it.
type library struct {
	*world
	disk    *counted
	machine *ledger.Machine
}

// newLibrary commits the blocks' changes, and one empty block more.
func newLibrary(t testing.TB, blocks ...[]state.Change) *library {
	t.Helper()
	w := newWorld(t, "test", 0)
	disk := &counted{Memory: state.NewMemory()}
	if _, err := ledger.NewMachine(w.genesis, disk); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(disk, w.genesis.Salt(), w.genesis.Params.Buckets)
	if err != nil {
		t.Fatal(err)
	}
	committee := w.committee(t)
	began := time.Now().Add(-time.Duration(len(blocks)+1) * worldBlock).Truncate(time.Millisecond)
	for i, changes := range append(blocks, nil) {
		h, app := int64(i+1), s.Root()
		u, err := s.Prepare(unit.Height(h), changes)
		if err == nil {
			err = s.Commit(u)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.blocks[h] = w.sign(header(w.genesis, h, began.Add(time.Duration(h)*worldBlock), app[:], committee, committee), committee)
	}
	m, err := ledger.NewMachine(w.genesis, disk)
	if err != nil {
		t.Fatal(err)
	}
	return &library{world: w, disk: disk, machine: m}
}

// honest answers as a node does, the question for all at once in parts: see oracle.prove.
func (l *library) honest(ask p2p.Ask, body []byte) ([]byte, error) {
	if ask == p2p.AskProve {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "in parts")
	}
	return l.whole(ask, body)
}

// whole answers as a node does.
func (l *library) whole(ask p2p.Ask, body []byte) ([]byte, error) {
	answer, err := Responder{Genesis: l.genesis, Machine: l.machine, Chain: l.world}.Answer(ask, body)
	if len(answer) > p2p.MaxAnswer {
		panic(fmt.Sprintf("an answer of %d bytes to question %d", len(answer), ask))
	}
	return answer, err
}

// reader reads from nodes in order.
func (l *library) reader(t testing.TB, nodes ...oracle) (*reader, *town) {
	town := &town{nodes: nodes}
	v, err := NewRemote(town, l.genesis, RemoteOptions{}).View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.R.(*reader), town
}

// shelf is n keys with a prefix, in order.
func shelf(prefix string, n int) []state.Change {
	var c []state.Change
	for i := range n {
		c = append(c, state.Change{Key: fmt.Appendf(nil, "%s%06d", prefix, i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	return c
}

// walked is what a walk hands on.
func walked(v *reader, prefix string) (keys []string, err error) {
	err = v.Each([]byte(prefix), func(k, value []byte) error {
		keys = append(keys, string(k)+"="+string(value))
		return nil
	})
	return keys, err
}

func wanted(c []state.Change) (keys []string) {
	for _, x := range c {
		keys = append(keys, string(x.Key)+"="+string(x.Value))
	}
	return keys
}

func TestAPageOfAListCostsThePageAndNotTheList(t *testing.T) {
	const many = 20_000
	l := newLibrary(t, append(shelf("zz", many), shelf("zzz", 3)...))
	for _, after := range []string{"", "zz000100", "zz010000", "zz019990", "zzz", "zzzz", "a"} {
		l.disk.walked.Store(0)
		raw, err := l.honest(p2p.AskList, canon.Encode(listQuestion{Prefix: []byte("zz"), After: []byte(after)}))
		if err != nil {
			t.Fatal(err)
		}
		var a listAnswer
		if err := decodeAnswer(raw, &a); err != nil {
			t.Fatal(err)
		}
		if cost := l.disk.walked.Load(); cost > 3*maxListed {
			t.Errorf("after %q: %d keys were walked for a page of %d", after, cost, len(a.Keys))
		}
		if len(a.Keys) > 0 && string(a.Keys[0]) <= after {
			t.Errorf("after %q: begins with %q", after, a.Keys[0])
		}
	}
}

// Long keys and long values cut a page shorter; none is refused.
func TestAPageIsCutShorterAndNeverRefused(t *testing.T) {
	long := bytes.Repeat([]byte{'k'}, 1000)
	var keys, values []state.Change
	for i := range 600 {
		keys = append(keys, state.Change{Key: fmt.Appendf(nil, "zk%s%03d", long, i), Value: []byte{1}})
	}
	for i := range 30 {
		values = append(values, state.Change{Key: fmt.Appendf(nil, "zv%02d", i), Value: bytes.Repeat([]byte{byte(i)}, 1<<20)})
	}
	l := newLibrary(t, append(keys, values...))
	v, town := l.reader(t, l.honest)
	for _, want := range [][]state.Change{keys, values} {
		if got, err := walked(v, string(want[0].Key[:2])); err != nil || !slices.Equal(got, wanted(want)) {
			t.Fatalf("%d of %d: %v", len(got), len(want), err)
		}
	}
	if len(town.blamed) > 0 {
		t.Errorf("blamed for pages that were cut: %v", town.blamed)
	}
	if len(v.read) > 0 {
		t.Errorf("a walk left %d values in memory", len(v.read))
	}
}

// listing answers lists as it likes, and everything else as a node does.
func (l *library) listing(list func(q listQuestion) listAnswer) oracle {
	return func(ask p2p.Ask, body []byte) ([]byte, error) {
		if ask != p2p.AskList {
			return l.honest(ask, body)
		}
		var q listQuestion
		if err := decodeQuestion(body, &q); err != nil {
			return nil, err
		}
		return canon.Encode(list(q)), nil
	}
}

// truly is an honest page.
func (l *library) truly(q listQuestion) (a listAnswer) {
	raw, err := l.honest(p2p.AskList, canon.Encode(q))
	if err == nil {
		err = decodeAnswer(raw, &a)
	}
	if err != nil {
		panic(err)
	}
	return a
}

// up is the key after one, of those that are nowhere.
func up(after []byte, n int) (keys [][]byte) {
	if len(after) < 3 {
		after = []byte("zz")
	}
	for range n {
		after = append(bytes.Clone(after), '!')
		keys = append(keys, after)
	}
	return keys
}

func TestAListOfLiesEndsWithBlameAndTheNextNodeIsAsked(t *testing.T) {
	things := shelf("zz", 700)
	l := newLibrary(t, things)
	for name, lie := range map[string]func(q listQuestion) listAnswer{
		"keys that are nowhere, without end": func(q listQuestion) listAnswer {
			if len(q.After) > 900 {
				q.After = append(q.After[:10:10], q.After[10]+1)
			}
			return listAnswer{Keys: up(q.After, 3), More: true}
		},
		"keys that are nowhere": func(q listQuestion) listAnswer { return listAnswer{Keys: up(nil, 3)} },
		"more of nothing":       func(q listQuestion) listAnswer { return listAnswer{More: true} },
		"the same page again and again": func(q listQuestion) listAnswer {
			return listAnswer{Keys: [][]byte{things[0].Key, things[1].Key}, More: true}
		},
		"one key twice": func(q listQuestion) listAnswer {
			return listAnswer{Keys: [][]byte{things[0].Key, things[0].Key}, More: true}
		},
		"in disorder": func(q listQuestion) listAnswer {
			return listAnswer{Keys: [][]byte{things[1].Key, things[0].Key}}
		},
		"another prefix": func(q listQuestion) listAnswer { return listAnswer{Keys: [][]byte{[]byte("h")}} },
		"too many":       func(q listQuestion) listAnswer { return listAnswer{Keys: up(nil, maxListed+1)} },
		"too long": func(q listQuestion) listAnswer {
			return listAnswer{Keys: [][]byte{append([]byte("zz"), make([]byte, state.MaxKey)...)}}
		},
		"nameless": func(q listQuestion) listAnswer { return listAnswer{Keys: [][]byte{{}}} },
		"a page of one key after the other": func(q listQuestion) listAnswer {
			a := l.truly(q)
			return listAnswer{Keys: a.Keys[:1], More: true}
		},
		"one key and a hundred that are nowhere": func(q listQuestion) listAnswer {
			a := l.truly(q)
			return listAnswer{Keys: append(a.Keys[:1], up(a.Keys[0], 100)...), More: true}
		},
	} {
		v, town := l.reader(t, l.listing(lie))
		_, err := walked(v, "zz")
		if err == nil {
			t.Errorf("%s: taken for a list", name)
		}
		if town.blamed[town.name(0)] == nil {
			t.Errorf("%s: not blamed: %v", name, err)
		}
		if town.asked > 60 {
			t.Errorf("%s: took %d questions", name, town.asked)
		}
		v, town = l.reader(t, l.listing(lie), l.honest)
		if got, err := walked(v, "zz"); err != nil || !slices.Equal(got, wanted(things)) {
			t.Errorf("%s: with an honest node beside it: %d of %d keys: %v", name, len(got), len(things), err)
		}
		if town.blamed[town.name(0)] == nil || town.blamed[town.name(1)] != nil {
			t.Errorf("%s: blamed %v", name, town.blamed)
		}
	}
}

// A node that lists truly and then proves nothing, or falsely.
func TestAListWithoutItsProofsIsNotFollowed(t *testing.T) {
	things := shelf("zz", 700)
	l := newLibrary(t, things)
	for name, x := range map[string]struct {
		get   func(q getQuestion) ([]byte, error)
		blame bool
	}{
		"refuses": {func(getQuestion) ([]byte, error) { return nil, p2p.Refuse(p2p.CodeBadRequest, "no") }, false},
		"nothing": {func(getQuestion) ([]byte, error) { return canon.Encode(getAnswer{Height: 2}), nil }, true},
		"other keys": {func(q getQuestion) ([]byte, error) {
			slices.Reverse(q.Keys)
			return l.honest(p2p.AskGet, canon.Encode(q))
		}, true},
		"no such day": {func(getQuestion) ([]byte, error) {
			return canon.Encode(getAnswer{Height: 1 << 63, Proofs: [][]byte{{}}}), nil
		}, true},
	} {
		liar := func(ask p2p.Ask, body []byte) ([]byte, error) {
			var q getQuestion
			if ask != p2p.AskGet || decodeQuestion(body, &q) != nil {
				return l.honest(ask, body)
			}
			return x.get(q)
		}
		v, town := l.reader(t, liar, l.honest)
		if got, err := walked(v, "zz"); err != nil || !slices.Equal(got, wanted(things)) {
			t.Errorf("%s: %d of %d keys: %v", name, len(got), len(things), err)
		}
		if (town.blamed[town.name(0)] != nil) != x.blame || town.blamed[town.name(1)] != nil {
			t.Errorf("%s: blamed %v", name, town.blamed)
		}
	}
}

// What a block removes between a list and its proofs is no lie.
func TestAKeyThatGoesBetweenListAndProofIsNoLie(t *testing.T) {
	things := shelf("zz", 2)
	l := newLibrary(t, things, []state.Change{{Key: things[0].Key, Delete: true}, {Key: things[1].Key, Delete: true}}, shelf("y", 1))
	asked := 0
	late := l.listing(func(q listQuestion) listAnswer {
		if asked++; asked == 1 {
			return listAnswer{Keys: [][]byte{things[0].Key, things[1].Key}}
		}
		return l.truly(q)
	})
	v, town := l.reader(t, late)
	if got, err := walked(v, "zz"); err != nil || len(got) > 0 || len(town.blamed) > 0 {
		t.Errorf("%q, %v, blamed %v", got, err, town.blamed)
	}
}

func TestAWalkStopsWithItsCaller(t *testing.T) {
	l := newLibrary(t, shelf("zz", 1500))
	v, town := l.reader(t, l.honest)
	stop := errors.New("stop")
	seen := 0
	err := v.EachAfter([]byte("zz"), []byte("zz000599"), func(k, _ []byte) error {
		if seen++; string(k) != fmt.Sprintf("zz%06d", 599+seen) {
			t.Fatalf("key %d is %s", seen, k)
		}
		if seen == 5 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 5 || town.asked > 10 {
		t.Errorf("%v after %d keys and %d questions", err, seen, town.asked)
	}
}
