package light

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// firstLook reads what nearly every command begins with.
func firstLook(ctx context.Context, r *Remote) (v ledger.View, err error) {
	if v, err = r.View(ctx); err != nil {
		return v, err
	}
	return v, v.R.(*reader).PrefetchCommittee([][]byte{ledger.KeyHead(), ledger.KeyRules()})
}

// readDirectory reads the committee and the record of each of its nodes.
func readDirectory(v ledger.View) error {
	head, err := v.Head()
	if err != nil {
		return err
	}
	c, err := v.Committee(head.Epoch)
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if _, _, err := v.Node(n.ID); err != nil {
			return err
		}
	}
	_, err = v.Params()
	return err
}

// One question brings the headers, the rules, the committee and its nodes to a process that
// trusts the genesis alone, and each later one brings its records without a header.
func TestOneQuestionBringsAllThatACommandBeginsWith(t *testing.T) {
	w := newWorld(t, "test", 20)
	town := &town{nodes: []oracle{w.whole}}
	r := NewRemote(town, w.genesis, RemoteOptions{})
	ctx := within(t)
	for questions := 1; questions <= 3; questions++ { // from nothing; then from what was verified
		v, err := firstLook(ctx, r)
		if err == nil {
			err = readDirectory(v)
		}
		if err != nil || town.asked != questions {
			t.Fatalf("%d questions, want %d: %v", town.asked, questions, err)
		}
	}
	v, err := firstLook(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	before := town.asked
	for _, key := range [][]byte{ledger.KeyAccount(w.genesis.Accounts[0].Address), ledger.KeySupply()} {
		if _, _, err := v.R.Get(key); err != nil {
			t.Fatal(err)
		}
	}
	if town.asked != before+2 || len(town.blamed) > 0 {
		t.Errorf("%d questions for two records, blamed %v", town.asked-before, town.blamed)
	}
}

// A view is of one state, as long as a node keeps it and this process writes nothing.
func TestAViewIsOfOneState(t *testing.T) {
	w := newWorld(t, "test", 20)
	tip, kept := int64(10), int64(10)
	node := func(ask p2p.Ask, body []byte) ([]byte, error) {
		var q proveQuestion
		if ask != p2p.AskProve || decodeQuestion(body, &q) != nil {
			return w.whole(ask, body)
		}
		if q.Height == 0 {
			q.Height = unit.Height(tip)
		}
		if int64(q.Height) < kept {
			return nil, p2p.Refuse(p2p.CodeNotHeld, "that state is gone")
		}
		return w.whole(ask, canon.Encode(q))
	}
	r := NewRemote(&town{nodes: []oracle{node}}, w.genesis, RemoteOptions{})
	v, err := r.View(within(t))
	if err != nil {
		t.Fatal(err)
	}
	at := func(key []byte) int64 {
		t.Helper()
		if _, _, err := v.R.Get(key); err != nil {
			t.Fatal(err)
		}
		return v.R.(*reader).at.Height
	}
	if got := at([]byte("a")); got != 10 {
		t.Errorf("the first answer is of block %d", got)
	}
	tip = 12
	if got := at([]byte("b")); got != 10 {
		t.Errorf("with newer blocks the view is of block %d", got)
	}
	kept = 12
	if got := at([]byte("c")); got != 12 {
		t.Errorf("where no node keeps its state the view is of block %d", got)
	}
	tip = 14
	r.wrote(13)
	if got := at([]byte("d")); got != 14 {
		t.Errorf("after a transaction in block 13 the view is of block %d", got)
	}
}

// A state that no node keeps any more is asked of a few nodes, not of all of a network.
func TestAStateThatIsGoneIsAskedOfAFewNodes(t *testing.T) {
	w := newWorld(t, "test", 20)
	kept := unit.Height(10)
	node := func(ask p2p.Ask, body []byte) ([]byte, error) {
		var q proveQuestion
		if ask == p2p.AskProve && decodeQuestion(body, &q) == nil && q.Height != 0 && q.Height < kept {
			return nil, p2p.Refuse(p2p.CodeNotHeld, "that state is gone")
		}
		return w.whole(ask, body)
	}
	var nodes []oracle
	for range 20 {
		nodes = append(nodes, node)
	}
	town := &town{nodes: nodes}
	v, err := firstLook(within(t), NewRemote(town, w.genesis, RemoteOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	kept = 21
	before := town.asked
	if _, _, err = v.R.Get(ledger.KeySupply()); err != nil || town.asked-before > mostGone+1 || len(town.blamed) > 0 {
		t.Errorf("%d questions, at most %d: %v, blamed %v", town.asked-before, mostGone+1, err, town.blamed)
	}
}

// Lies that only an answer to this question can tell.
func TestLiesAboutAllAtOnceAreFoundOut(t *testing.T) {
	w := newWorld(t, "test", 20)
	lie := func(change func(q proveQuestion, a *proveAnswer)) oracle {
		return func(ask p2p.Ask, body []byte) ([]byte, error) {
			answer, err := w.whole(ask, body)
			var q proveQuestion
			var a proveAnswer
			if ask != p2p.AskProve || err != nil || decodeQuestion(body, &q) != nil || decodeAnswer(answer, &a) != nil {
				return answer, err
			}
			change(q, &a)
			return canon.Encode(a), nil
		}
	}
	for name, liar := range map[string]oracle{
		"another committee": lie(func(_ proveQuestion, a *proveAnswer) {
			p := must(state.DecodeProof(a.More[0].Proof))
			p.Value = bytes.Replace(p.Value, p.Value[20:24], []byte{1, 2, 3, 4}, 1)
			a.More[0].Proof = p.Encode()
		}),
		"the committee under another key": lie(func(_ proveQuestion, a *proveAnswer) { a.More[0].Key = ledger.KeyCommittee(7) }),
		"a node's record for another's":   lie(func(_ proveQuestion, a *proveAnswer) { a.More[1].Key, a.More[2].Key = a.More[2].Key, a.More[1].Key }),
		"a proof without bytes":           lie(func(_ proveQuestion, a *proveAnswer) { a.More[1].Proof = nil }),
		"a header of another time":        lie(func(_ proveQuestion, a *proveAnswer) { a.Headers[1] = encodeLight(w.blocks[15]); a.Height = 15 }),
		"headers in noise":                lie(func(_ proveQuestion, a *proveAnswer) { a.Headers[0] = []byte("noise") }),
		"many headers":                    lie(func(_ proveQuestion, a *proveAnswer) { a.Headers = append(a.Headers, a.Headers...) }),
		"more proofs than keys":           lie(func(_ proveQuestion, a *proveAnswer) { a.Proofs = append(a.Proofs, a.Proofs...) }),
	} {
		town := &town{nodes: []oracle{liar, w.whole}}
		v, err := firstLook(within(t), NewRemote(town, w.genesis, RemoteOptions{}))
		if err == nil {
			err = readDirectory(v)
		}
		if err != nil || town.blamed[town.name(0)] == nil || town.blamed[town.name(1)] != nil {
			t.Errorf("%s: %v, blamed %v", name, err, town.blamed)
		}
	}
	// Pinned to a height, an answer of another one is a lie as well.
	late := lie(func(q proveQuestion, a *proveAnswer) {
		if q.Height != 0 {
			a.Height--
		}
	})
	town := &town{nodes: []oracle{late, w.whole}}
	v, err := firstLook(within(t), NewRemote(town, w.genesis, RemoteOptions{}))
	if err == nil {
		_, _, err = v.R.Get(ledger.KeySupply())
	}
	if err != nil || town.blamed[town.name(0)] == nil {
		t.Errorf("another height: %v, blamed %v", err, town.blamed)
	}
	// Where nothing was asked for beside the keys, whatever comes is too much.
	r := NewRemote(town, w.genesis, RemoteOptions{})
	q := r.question([][]byte{ledger.KeyHead()}, 0, true)
	answer := must(w.whole(p2p.AskProve, canon.Encode(q)))
	q.Committee = false
	if _, err := r.check(within(t), town.name(1), q, nil, answer); err == nil {
		t.Error("proofs that were not asked for are taken")
	}
}

// A command that lists begins with what it looks at and the list's keys at the same time; then
// come the proofs of the keys. Keys that were asked for ahead serve one walk.
func TestAListIsAskedForWithTheFirstLook(t *testing.T) {
	w := newWorld(t, "test", 20)
	synctest.Test(t, func(t *testing.T) {
		d := distantTown{&town{nodes: []oracle{w.whole}}, 0, 150 * time.Millisecond}
		r := NewRemote(d, w.genesis, RemoteOptions{})
		r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
		v, err := r.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		walk := func() (names int) {
			if err := v.EachNode(func(ledger.NodeRecord) error { names++; return nil }); err != nil {
				t.Fatal(err)
			}
			return names
		}
		began := time.Now()
		if err := v.PrefetchList(ledger.PrefixNodes()); err != nil {
			t.Fatal(err)
		}
		if err := readDirectory(v); err != nil {
			t.Fatal(err)
		}
		if names, took := walk(), time.Since(began); names != 4 || took != 2*d.away {
			t.Errorf("%d nodes after %.1f round trips, want 4 after 2", names, float64(took)/float64(d.away))
		}
		asked := d.asked
		if names := walk(); names != 4 || d.asked != asked+2 {
			t.Errorf("a second walk: %d nodes, %d questions", names, d.asked-asked)
		}
		if len(d.blamed) > 0 {
			t.Errorf("blamed %v", d.blamed)
		}
	})
}

// What is read of each listed key comes at the same time as the proofs of the list.
func TestRecordsOfListedKeysComeWithTheirProofs(t *testing.T) {
	w := newWorld(t, "test", 20)
	synctest.Test(t, func(t *testing.T) {
		d := distantTown{&town{nodes: []oracle{w.whole}}, 0, 150 * time.Millisecond}
		r := NewRemote(d, w.genesis, RemoteOptions{})
		r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
		v := must(r.View(t.Context()))
		began := time.Now()
		if err := v.PrefetchList(ledger.PrefixNodes()); err != nil {
			t.Fatal(err)
		}
		pool := func(id staking.NodeID) [][]byte { return [][]byte{ledger.KeyPool(id)} }
		bonds := 0
		if err := v.EachNodeWith([][]byte{ledger.KeyUsage()}, pool, func(n ledger.NodeRecord) error {
			p, _, err := v.Pool(n.ID)
			if p.Bond > 0 {
				bonds++
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Usage(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); bonds != 4 || took != 2*d.away {
			t.Errorf("%d bonds after %.1f round trips, want 4 after 2", bonds, float64(took)/float64(d.away))
		}
	})
}

// A list of lies that came ahead is blamed, and the walk asks another node.
func TestAListAheadIsBelievedNoMoreThanAnother(t *testing.T) {
	w := newWorld(t, "test", 20)
	liar := func(ask p2p.Ask, body []byte) ([]byte, error) {
		if ask == p2p.AskList {
			return canon.Encode(listAnswer{Keys: [][]byte{append(ledger.PrefixNodes(), 1)}}), nil
		}
		return w.whole(ask, body)
	}
	town := &town{nodes: []oracle{liar, w.whole}}
	r := NewRemote(town, w.genesis, RemoteOptions{})
	r.follow.now = func() time.Time { return w.began.Add(20 * worldBlock) }
	v, err := r.View(within(t))
	if err == nil {
		err = v.PrefetchList(ledger.PrefixNodes())
	}
	names := 0
	if err == nil {
		err = v.EachNode(func(ledger.NodeRecord) error { names++; return nil })
	}
	if err != nil || names != 4 || town.blamed[town.name(0)] == nil {
		t.Errorf("%d nodes, blamed %v: %v", names, town.blamed, err)
	}
}
