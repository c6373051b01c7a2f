package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// A question about many buckets of one subtree reads it once: a short question must not cost
// a node hundreds of times what it reads for one.
func TestAnAnswerReadsASubtreeOnce(t *testing.T) {
	const buckets = 1 << 20
	s, err := state.Open(state.NewMemory(), salt, buckets)
	if err != nil {
		t.Fatal(err)
	}
	var c []state.Change
	for i := uint64(0); len(c) < 200; i++ { // keys that were ground into the first subtree
		k := binary.BigEndian.AppendUint64([]byte("key-"), i)
		if state.LeafOf(salt, state.Item{Key: k}).Node(buckets, 12) == 1<<12 {
			c = append(c, state.Change{Key: k, Value: bytes.Repeat([]byte{1}, 5000)})
		}
	}
	apply(t, s, 1, c)
	f, err := makeFile(t.TempDir(), s, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.f.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := f.items(stateQuestion{Node: buckets, Count: 256})
	runtime.ReadMemStats(&after)
	if err != nil || len(a.Nodes) < 10 {
		t.Fatalf("%d nodes, %v", len(a.Nodes), err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("a subtree of 1 MB was read for %d buckets with %d MB of memory", len(a.Nodes), took>>20)
	}
}

// Nodes that bring a little now and then do not hold up the snapshots of others.
func TestAFetchThatCrawlsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, 1<<13, 6000, 100, 50)
		apply(t, s, 51, nil)
		apply(t, s, 52, nil)
		w := newTown()
		drip := onItems(func(a *itemsAnswer) { a.Nodes = a.Nodes[:min(1, len(a.Nodes))] })
		for i := range 3 {
			w.nodes[peer.ID(fmt.Sprint("drips-", i))] = liar(honest(t, s), func(q stateQuestion, answer []byte, err error) ([]byte, error) {
				if q.Kind == askItems {
					time.Sleep(askLimit / 2)
				}
				return drip(q, answer, err)
			})
		}
		n := w.network()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := n.Fetch(ctx, state.NewMemory(), target(t, n, s)); !errors.Is(err, ErrNoNode) || ctx.Err() != nil {
			t.Errorf("a fetch at a crawl ends with %v", err)
		}
	})
}

// Leaves of a bucket are up to 64 MiB, and unproven until all are there. However many nodes
// claim that a bucket is so long, one such list is in memory.
func TestLongBucketsAreFetchedOneByOne(t *testing.T) {
	s := made(t, 1<<13, 6000, 100, 50)
	apply(t, s, 51, nil)
	apply(t, s, 52, nil)
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	var now, most, asked atomic.Int64
	w := newTown()
	for i := range 6 {
		server := honest(t, s)
		w.nodes[peer.ID(fmt.Sprint("long-", i))] = liar(server, func(q stateQuestion, answer []byte, err error) ([]byte, error) {
			switch {
			case q.Kind == askItems && state.LevelOf(q.Node) == 12:
				f, done := server.use(q.Height)
				defer done()
				list, err := f.under(q.Node)
				return canon.Encode(itemsAnswer{Buckets: encodeHashes(state.BucketsBelow(f.buckets, q.Node, leavesOf(list)))}), err
			case q.Kind == askItems:
				return canon.Encode(itemsAnswer{}), nil
			case q.Kind == askLeaves:
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(2 * time.Millisecond)
				now.Add(-1)
				if asked.Add(1) == 100 {
					cut()
				}
				return canon.Encode(partAnswer{Size: maxLeaves * leafBytes, Part: make([]byte, answerBytes)}), nil
			}
			return answer, err
		})
	}
	n := w.network()
	to := target(t, n, s)
	for p := range w.nodes {
		for o, err := n.offer(t.Context(), p, 0); err != nil || !o.Ready; o, err = n.offer(t.Context(), p, 0) {
			time.Sleep(time.Millisecond)
		}
	}
	if _, err := n.Fetch(ctx, state.NewMemory(), to); err == nil {
		t.Fatal("a liar's bucket was taken")
	}
	if most.Load() != 1 {
		t.Errorf("%d long buckets were fetched at the same time, in %d questions", most.Load(), asked.Load())
	}
}

// A large state is written more seldom than a small one, and its snapshot is there meanwhile.
func TestALargeStateIsNotWrittenEachMinute(t *testing.T) {
	s := made(t, 16, 70, 1<<20, 20)
	apply(t, s, 21, nil)
	apply(t, s, 22, nil)
	server := honest(t, s)
	asked := func(want unit.Height) unit.Height {
		o, err := server.offer(want)
		if err != nil {
			t.Fatal(err)
		}
		server.making.Wait()
		return o.Height
	}
	pass := func(d time.Duration) {
		server.began = server.began.Add(-d)
		for _, f := range server.files {
			f.used = f.used.Add(-keepFor)
		}
		server.look()
	}
	if h := asked(0); h != 20 {
		t.Fatal(h)
	}
	apply(t, s, 23, nil)
	pass(makeEvery)
	if h := asked(21); h != 20 {
		t.Errorf("a state of 70 MB was written again after a minute, for height %d", h)
	}
	pass(makeEvery)
	if h := asked(21); h != 21 {
		t.Errorf("no further snapshot was made, but %d", h)
	}
}

// To work out the turns of a height takes up to 100,000 steps. Strangers that ask for the turns
// of many heights make a node work out few, and what it has worked out it gives at once.
func TestFewTurnsAreWorkedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := made(t, 16, 4, 10, 30)
		worked := 0
		server := NewServer(t.TempDir(), s, func() int64 { return 1 }, func(unit.Height) ([][]byte, error) {
			worked++
			return [][]byte{{1}}, nil
		}, slog.New(slog.DiscardHandler))
		defer server.Close()
		ask := func(h unit.Height) error {
			_, err := server.Answer(p2p.AskState, canon.Encode(stateQuestion{Height: h, Kind: askTurns}))
			return err
		}
		given := 0
		for h := range unit.Height(40) {
			if ask(h) == nil {
				given++
			}
		}
		if worked != 1 || given != 1 {
			t.Errorf("turns of %d heights were worked out at once, %d given", worked, given)
		}
		time.Sleep(turnEvery)
		if err := ask(28); err != nil || worked != 2 {
			t.Errorf("%d, %v", worked, err)
		}
		if err := ask(28); err != nil || worked != 2 {
			t.Errorf("what is known is worked out again: %d, %v", worked, err)
		}
		time.Sleep(turnEvery)
		if err := ask(29); err == nil || worked != 2 {
			t.Error("turns that no header shows yet were given")
		}
	})
}
