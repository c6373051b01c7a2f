package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

var salt = [32]byte{1, 2}

// made is a state with n keys of about size bytes, at a height.
func made(t testing.TB, buckets, n, size int, height unit.Height) *state.State {
	t.Helper()
	return madeIn(t, state.NewMemory(), buckets, n, size, height)
}

func madeIn(t testing.TB, kv state.KV, buckets, n, size int, height unit.Height) *state.State {
	t.Helper()
	s, err := state.Open(kv, salt, buckets)
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < n || from == 0; from += 20_000 {
		var c []state.Change
		for i := from; i < min(n, from+20_000); i++ {
			k := binary.BigEndian.AppendUint64([]byte("key-"), uint64(i))
			c = append(c, state.Change{Key: k, Value: bytes.Repeat([]byte{byte(i)}, size)})
		}
		at := height.Minus(uint64((n-1)/20_000)) + unit.Height(from/20_000)
		apply(t, s, at, c)
	}
	return s
}

func apply(t testing.TB, s *state.State, height unit.Height, c []state.Change) {
	t.Helper()
	u, err := s.Prepare(height, c)
	if err == nil {
		err = s.Commit(u)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func noTurns(unit.Height) ([][]byte, error) { return nil, nil }

// town is nodes that give snapshots, each with a way to answer.
type town struct {
	nodes map[peer.ID]func(ask p2p.Ask, body []byte) ([]byte, error)

	mu     sync.Mutex // guards the fields below
	blamed map[peer.ID]error
	given  map[peer.ID]int // bytes
}

func newTown() *town {
	return &town{nodes: map[peer.ID]func(p2p.Ask, []byte) ([]byte, error){}, blamed: map[peer.ID]error{}, given: map[peer.ID]int{}}
}

func (w *town) network() Network {
	return Network{
		Ask: func(_ context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
			out, err := w.nodes[p](ask, body)
			if len(out) > p2p.MaxAnswer {
				return nil, p2p.Refuse(p2p.CodeInternal, "too long")
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.given[p] += len(out)
			return out, err
		},
		Peers: func() []peer.ID { return slices.Sorted(maps.Keys(w.nodes)) },
		Blame: func(p peer.ID, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.blamed[p] = err
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// honest is a node that gives snapshots of a state.
func honest(t testing.TB, s *state.State) *Server {
	t.Helper()
	server := NewServer(t.TempDir(), s, func() int64 { return 1 }, noTurns, slog.New(slog.DiscardHandler))
	t.Cleanup(server.Close)
	return server
}

// target is the state that an honest node offers, once it is ready.
func target(t testing.TB, n Network, s *state.State) Target {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // a node makes it
		for _, o := range n.Offers(t.Context()) {
			if o.Ready {
				root, err := s.RootAt(o.Height)
				if err != nil {
					t.Fatal(err)
				}
				return Target{Height: o.Height, Root: root, Salt: s.Salt(), Buckets: s.Buckets()}
			}
		}
	}
	t.Fatal("no node offers a snapshot")
	return Target{}
}

// same says that kv holds what s had at a height.
func same(t testing.TB, kv state.KV, s *state.State, height unit.Height) {
	t.Helper()
	got, err := state.Open(kv, s.Salt(), s.Buckets())
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.RootAt(height)
	if err != nil || got.Root() != root || got.Height() != height {
		t.Fatalf("height %d, root %s: want %d, %s: %v", got.Height(), got.Root(), height, root, err)
	}
	read := func(s *state.State) map[string]string {
		at, err := s.At(height)
		out := map[string]string{}
		if err == nil {
			err = at.Each(nil, func(k, v []byte) error { out[string(k)] = string(v); return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if !maps.Equal(read(got), read(s)) {
		t.Fatal("the keys differ")
	}
}

func TestANewNodeFetchesTheStateFromManyNodes(t *testing.T) {
	for name, shape := range map[string]struct{ buckets, keys, size, proofs int }{
		"few keys":       {1 << 12, 20, 40, 0},
		"many keys":      {1 << 14, 12_000, 100, 0},
		"full buckets":   {2, 4000, 100, leafBytes}, // no bucket fits into an answer
		"full subtrees":  {1 << 13, 300, 10_000, 0},
		"long values":    {1 << 12, 40, longValue + 1, 0},
		"longest values": {16, 6, 1 << 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := made(t, shape.buckets, shape.keys, shape.size, 100)
			apply(t, s, 101, nil)
			apply(t, s, 102, nil)
			w := newTown()
			for i := range 4 {
				w.nodes[peer.ID(fmt.Sprint("node-", i))] = honest(t, s).Answer
			}
			n := w.network()
			to := target(t, n, s)
			if to.Height != 100 {
				t.Fatalf("a snapshot of height %d, the newest with two blocks after it is 100", to.Height)
			}
			kv := state.NewMemory()
			stats, err := n.Fetch(t.Context(), kv, to)
			if err != nil {
				t.Fatal(err)
			}
			same(t, kv, s, 100)
			whole := int64(shape.keys * (12 + shape.size))
			if most := whole*3/2 + hashBytes<<state.TopLevel(shape.buckets)*4 + 10_000 + int64(shape.proofs*shape.keys); stats.Bytes > most {
				t.Errorf("%d bytes were fetched for a state of %d, at most %d", stats.Bytes, whole, most)
			}
			if len(w.blamed) > 0 {
				t.Errorf("honest nodes were blamed: %v", w.blamed)
			}
		})
	}
}

// lie changes the answers of an honest node.
type lie func(q stateQuestion, answer []byte, err error) ([]byte, error)

func liar(s *Server, tell lie) func(p2p.Ask, []byte) ([]byte, error) {
	return func(ask p2p.Ask, body []byte) ([]byte, error) {
		out, err := s.Answer(ask, body)
		var q stateQuestion
		if ask != p2p.AskState || canon.Decode(body, &q) != nil {
			return out, err
		}
		return tell(q, out, err)
	}
}

// onItems lets a lie change the keys of an answer.
func onItems(change func(a *itemsAnswer)) lie {
	return func(q stateQuestion, answer []byte, err error) ([]byte, error) {
		if q.Kind != askItems || err != nil {
			return answer, err
		}
		a, err := decodeItems(answer, maxRun)
		if err != nil {
			return nil, err
		}
		for i := range a.Nodes { // what a snapshot keeps is not changed
			a.Nodes[i] = slices.Clone(a.Nodes[i])
		}
		change(&a)
		return canon.Encode(a), nil
	}
}

func lies() map[string]lie {
	return map[string]lie{
		"hashes of another state": func(q stateQuestion, answer []byte, err error) ([]byte, error) {
			if q.Kind == askTop && err == nil {
				answer = bytes.Clone(answer)
				answer[40] ^= 1
			}
			return answer, err
		},
		"half of the hashes": func(q stateQuestion, answer []byte, err error) ([]byte, error) {
			if q.Kind == askTop {
				answer = answer[:len(answer)/2]
			}
			return answer, err
		},
		"a changed value": onItems(func(a *itemsAnswer) {
			for i := range a.Nodes {
				for k := range a.Nodes[i] {
					if v := a.Nodes[i][k].Value; len(v) > 0 {
						v = bytes.Clone(v)
						v[0] ^= 1
						a.Nodes[i][k].Value = v
					}
				}
			}
		}),
		"a key left out": onItems(func(a *itemsAnswer) {
			for i := range a.Nodes {
				if len(a.Nodes[i]) > 0 {
					a.Nodes[i] = a.Nodes[i][1:]
				}
			}
		}),
		"a key added": onItems(func(a *itemsAnswer) {
			for i := range a.Nodes {
				a.Nodes[i] = append(a.Nodes[i], state.Item{Key: []byte("mine"), Value: []byte("rich")})
			}
		}),
		"a key twice": onItems(func(a *itemsAnswer) {
			for i := range a.Nodes {
				if len(a.Nodes[i]) > 0 {
					a.Nodes[i] = append(a.Nodes[i], a.Nodes[i][0])
				}
			}
		}),
		"nothing": onItems(func(a *itemsAnswer) { *a = itemsAnswer{} }),
		"hashes for keys": onItems(func(a *itemsAnswer) {
			*a = itemsAnswer{Buckets: make([]byte, 4*hashBytes)}
		}),
		"rubbish": func(q stateQuestion, _ []byte, _ error) ([]byte, error) { return []byte{0xff, byte(q.Kind)}, nil },
		"leaves of another bucket": func(q stateQuestion, answer []byte, err error) ([]byte, error) {
			if q.Kind != askItems {
				return answer, err
			}
			return canon.Encode(itemsAnswer{Buckets: bytes.Repeat([]byte{7}, 4*hashBytes)}), nil
		},
	}
}

// A node that lies is blamed and left; what it lied about comes from the others.
func TestHostileAnswersAreRefusedOneByOne(t *testing.T) {
	for name, tell := range lies() {
		t.Run(name, func(t *testing.T) {
			s := made(t, 1<<13, 2000, 300, 50)
			apply(t, s, 51, nil)
			apply(t, s, 52, nil)
			w := newTown()
			good, bad := honest(t, s), honest(t, s)
			w.nodes["a liar"], w.nodes["honest"] = liar(bad, tell), good.Answer
			n := w.network()
			to := target(t, n, s)
			kv := state.NewMemory()
			// First alone with the liar: nothing that it says gets in.
			alone := n
			alone.Peers = func() []peer.ID { return []peer.ID{"a liar"} }
			for f, _ := bad.use(50); f == nil; f, _ = bad.use(50) {
				time.Sleep(5 * time.Millisecond)
			}
			if _, err := alone.Fetch(t.Context(), kv, to); err == nil {
				t.Fatal("a liar's state was taken")
			}
			if w.blamed["a liar"] == nil {
				t.Error("the liar was not blamed")
			}
			if _, err := n.Fetch(t.Context(), kv, to); err != nil {
				t.Fatal(err)
			}
			same(t, kv, s, 50)
			if w.blamed["honest"] != nil {
				t.Errorf("the honest node was blamed: %v", w.blamed["honest"])
			}
		})
	}
}

// True hashes where keys were asked for cost a question more, and no more.
func TestANodeThatDividesWithoutNeedIsBorne(t *testing.T) {
	s := made(t, 1<<14, 3000, 100, 50)
	apply(t, s, 51, nil)
	apply(t, s, 52, nil)
	server := honest(t, s)
	w := newTown()
	w.nodes["divides"] = liar(server, func(q stateQuestion, answer []byte, err error) ([]byte, error) {
		if q.Kind != askItems || state.LevelOf(q.Node) > 12 {
			return answer, err
		}
		f, done := server.use(q.Height)
		defer done()
		list, err := f.under(q.Node)
		return canon.Encode(itemsAnswer{Buckets: encodeHashes(state.BucketsBelow(f.buckets, q.Node, leavesOf(list)))}), err
	})
	n := w.network()
	kv := state.NewMemory()
	if _, err := n.Fetch(t.Context(), kv, target(t, n, s)); err != nil {
		t.Fatal(err)
	}
	same(t, kv, s, 50)
}

// A fetch that was cut off goes on, with the state of a later height too.
func TestACutOffFetchGoesOn(t *testing.T) {
	s := made(t, 1<<13, 6000, 300, 50)
	apply(t, s, 51, nil)
	apply(t, s, 52, nil)
	server := honest(t, s)
	w := newTown()
	ctx, cut := context.WithCancel(t.Context())
	answers := 0
	w.nodes["a"] = func(ask p2p.Ask, body []byte) ([]byte, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if ask == p2p.AskState {
			if answers++; answers == 8 {
				cut()
			}
		}
		return server.Answer(ask, body)
	}
	n := w.network()
	kv := state.NewMemory()
	if _, err := n.Fetch(ctx, kv, target(t, n, s)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the fetch was not cut off: %v", err)
	}
	// The chain goes on by some keys, and another node has that height only.
	apply(t, s, 53, []state.Change{{Key: []byte("new"), Value: []byte{1}}, {Key: binary.BigEndian.AppendUint64([]byte("key-"), 7), Delete: true}})
	for h := unit.Height(54); h <= 62; h++ {
		apply(t, s, h, nil)
	}
	w = newTown()
	w.nodes["b"] = honest(t, s).Answer
	n = w.network()
	to := target(t, n, s)
	if to.Height != 60 {
		t.Fatalf("a snapshot of height %d", to.Height)
	}
	stats, err := n.Fetch(t.Context(), kv, to)
	if err != nil {
		t.Fatal(err)
	}
	same(t, kv, s, 60)
	if stats.Subtrees == 0 || stats.Keys > 5_500 {
		t.Errorf("%d subtrees were there, %d keys were fetched again", stats.Subtrees, stats.Keys)
	}
}

// Strangers who ask for ever make a node walk over its state once a minute, and fill no
// disk.
func TestAskersBoundNothingButTheirOwnTime(t *testing.T) {
	s := made(t, 1<<12, 100, 10, 30)
	server := honest(t, s)
	asked := func(want unit.Height) Offer {
		o, err := server.offer(want)
		if err != nil {
			t.Fatal(err)
		}
		server.making.Wait()
		return o
	}
	apply(t, s, 31, nil)
	apply(t, s, 32, nil)
	if o := asked(0); o.Height != 30 || o.Ready || o.Base != 1 {
		t.Fatalf("%+v", o)
	}
	if o := asked(0); o.Height != 30 || !o.Ready {
		t.Fatalf("%+v", o)
	}
	for h := unit.Height(33); h < 45; h++ {
		apply(t, s, h, nil)
		if o := asked(h - 2); o.Height != 30 || !o.Ready {
			t.Fatalf("a second snapshot within a minute: %+v", o)
		}
	}
	next := func() { server.began = server.began.Add(-makeEvery) }
	next()
	if o := asked(41); o.Height != 41 || o.Ready {
		t.Fatalf("the height that others have: %+v", o)
	}
	next()
	if o := asked(39); o.Height != 39 {
		t.Fatalf("%+v", o)
	}
	if n := len(server.files); n != maxFiles {
		t.Errorf("%d snapshots are kept", n)
	}
	if f, _ := server.use(30); f != nil {
		t.Error("the oldest is still there")
	}
	for _, f := range server.files {
		f.used = f.used.Add(-keepFor)
	}
	server.look()
	if n := len(server.files); n != 1 {
		t.Errorf("%d snapshots are there before the next may be made", n)
	}
	next()
	server.look()
	if len(server.files) > 0 {
		t.Error("what is not asked for is kept")
	}
}

// A node that is silent holds nothing up: what it was asked for is asked of another.
func TestASilentNodeHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, 1<<13, 5000, 100, 50)
		apply(t, s, 51, nil)
		apply(t, s, 52, nil)
		w := newTown()
		w.nodes["honest"] = honest(t, s).Answer
		silent := honest(t, s)
		w.nodes["silent"] = silent.Answer
		n := w.network()
		to := target(t, n, s)
		ask := n.Ask
		n.Ask = func(ctx context.Context, p peer.ID, a p2p.Ask, body []byte) ([]byte, error) {
			if p == "silent" && a == p2p.AskState {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return ask(ctx, p, a, body)
		}
		kv := state.NewMemory()
		began := time.Now()
		if _, err := n.Fetch(t.Context(), kv, to); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > askLimit {
			t.Errorf("the silent node was waited for: %v", took)
		}
		same(t, kv, s, 50)
	})
}

func FuzzStateAnswer(f *testing.F) {
	f.Add(canon.Encode(itemsAnswer{Nodes: [][]state.Item{{{Key: []byte("a"), Value: []byte{1}}}}}))
	f.Add(canon.Encode(itemsAnswer{Buckets: make([]byte, 64)}))
	f.Add(canon.Encode(partAnswer{Size: 3, Part: []byte("abc")}))
	s := made(f, 16, 2, 1, 1)
	top, err := s.Nodes(1, 4)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if leaves, err := decodeLeaves(raw); err == nil && !bytes.Equal(encodeLeaves(leaves), raw) {
			t.Fatal("leaves have two forms")
		}
		a, err := decodeItems(raw, maxRun)
		if err != nil {
			return
		}
		if !bytes.Equal(canon.Encode(a), raw) {
			t.Fatal("an answer has two forms")
		}
		r, err := state.NewRestorer(state.NewMemory(), s.Salt(), s.Buckets(), 1, s.Root(), top)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range r.Missing() {
			for _, items := range a.Nodes {
				_ = r.Put(node, items)
			}
		}
		if len(r.Missing()) == 0 {
			if err := r.Finish(); err != nil {
				t.Fatalf("all subtrees passed, and make another state: %v", err)
			}
		}
	})
}

func FuzzStateQuestion(f *testing.F) {
	s := made(f, 16, 20, 3, 8)
	apply(f, s, 9, nil)
	apply(f, s, 10, nil)
	server := NewServer(f.TempDir(), s, func() int64 { return 1 }, noTurns, slog.New(slog.DiscardHandler))
	f.Cleanup(server.Close)
	if _, err := server.offer(0); err != nil {
		f.Fatal(err)
	}
	server.making.Wait()
	for kind := range uint8(8) {
		f.Add(canon.Encode(stateQuestion{Height: 8, Kind: kind, Node: 17, Count: 3, Key: []byte("key-\x00")}))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if out, err := server.Answer(p2p.AskState, body); err == nil && len(out) > p2p.MaxAnswer {
			t.Fatalf("an answer of %d bytes", len(out))
		}
	})
}
