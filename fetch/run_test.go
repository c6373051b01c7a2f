package fetch

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/p2p/p2ptest"
)

// What members will have sent by when follows from the rows that came.
func TestARunKnowsHowFastMembersSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fast, slow, silent, fresh, another = 0, 1, 2, 3, 4
		r := newRun()
		if got := r.queues(150*time.Millisecond, 0).after(fast, 2); got != 300*time.Millisecond {
			t.Errorf("where nothing is known two rows take %s", got)
		}
		r.asked(fast, 20)
		r.asked(slow, 20)
		r.asked(silent, 1)
		for range 10 {
			for range 4 {
				time.Sleep(10 * time.Millisecond)
				r.came(fast)
				if r.members[fast].pending == 0 {
					r.asked(fast, 20)
				}
			}
			r.came(slow)
		}
		r.asked(fresh, 4)
		q := r.queues(0, 100*time.Millisecond)
		for member, want := range map[int]time.Duration{
			fast:    20*10*time.Millisecond + 2*10*time.Millisecond,
			slow:    12 * 40 * time.Millisecond,
			silent:  3 * 300 * time.Millisecond, // 0.4 s without a row, less the time to dial
			fresh:   6 * 40 * time.Millisecond,  // the middle of what is known
			another: 2 * 40 * time.Millisecond,
		} {
			if got := q.after(member, 2); (got - want).Abs() > time.Microsecond {
				t.Errorf("member %d will have sent two rows more after %s, want %s", member, got, want)
			}
		}
		for member, want := range map[int]bool{fast: false, slow: false, silent: true} {
			if r.isSlow(member, 0) != want {
				t.Errorf("member %d is slow: %t", member, !want)
			}
		}
		if r.rests() {
			t.Error("a run in which all have something to send rests")
		}
		r.left(slow, 10)
		if got := r.queues(0, 0).after(slow, 2); (got - 80*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("two rows of a slow member take %s", got)
		}
		time.Sleep(20 * time.Millisecond) // virtual
		if got := r.queues(0, 0).after(slow, 2); got <= 20*time.Millisecond || got >= 80*time.Millisecond {
			t.Errorf("two rows of a member that was slow take %s", got)
		}
		time.Sleep(time.Minute) // virtual
		if q := r.queues(0, 0); (q.after(slow, 2) - 2*q.usual).Abs() > time.Microsecond {
			t.Errorf("two rows of a member that was slow a minute ago take %s", q.after(slow, 2))
		}
		r.asked(slow, 10)
		r.left(fast, 20)
		r.left(silent, 1)
		if !r.rests() {
			t.Error("a run in which half have nothing to send does not rest")
		}
	})
}

// All others wait for the first part that is not here.
func TestARunKnowsItsFirstPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun()
		for _, part := range []uint32{12, 0, 24} {
			r.begin(part)
		}
		for _, first := range []uint32{0, 12, 24} {
			began := time.Now()
			time.Sleep(time.Second)
			for _, part := range []uint32{0, 12, 24} {
				if since, ok := r.isFirst(part); ok != (part == first) || ok && !since.Equal(began) {
					t.Errorf("part %d is the first: %t, since %s", part, ok, time.Since(since))
				}
			}
			r.end(first)
		}
		if _, ok := r.isFirst(24); ok {
			t.Error("a part that has ended is the first")
		}
		var none *run // of questions that are no run
		none.begin(0)
		none.asked(0, 1)
		none.came(0)
		none.left(0, 1)
		none.end(0)
	})
}

// knowDistance lets the reader ask about the ledger, which shows how far away nodes are.
func (h *holders) knowDistance(t *testing.T) {
	t.Helper()
	s := h.shelves[6]
	s.host.ServeLedger(echo{})
	if err := h.host.Connect(t.Context(), s.host.ID(), s.host.Addrs()); err != nil {
		t.Fatal(err)
	}
	for range 30 { // the first one measures connecting too
		if _, err := h.host.AskLedger(t.Context(), s.host.ID(), p2p.AskGet, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
}

// newMemoryHolders is seven members, each so far away from the reader and back, in virtual time.
func newMemoryHolders(t *testing.T, size int64, away time.Duration) *holders {
	t.Helper()
	network := p2ptest.NewNetwork(t, away/2, 0)
	return newHoldersOf(t, size, 16<<10, func(seed byte, holds bool) *p2p.Host {
		at := network.Place()
		h, err := p2p.New(p2p.Config{Key: ed25519.NewKeyFromSeed(append(make([]byte, 31), seed)), Hello: p2p.Hello{Chain: "net"}, Listen: []string{at.Listen}, Wire: at.Wire})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	})
}

// pacedRead reads a blob of 24 MiB, in 103 stripes of three rows, from seven members of which
// each takes its time for a row. It gives the time and the bytes that came, as a part of the
// blob's.
func pacedRead(t *testing.T, each [7]time.Duration) (took time.Duration, received float64) {
	synctest.Test(t, func(t *testing.T) {
		h := newMemoryHolders(t, 24<<20, 20*time.Millisecond)
		for i, s := range h.shelves {
			s.pause = each[i]
		}
		h.knowDistance(t)
		var got bytes.Buffer
		began := time.Now()
		if err := h.Read(t.Context(), h.d, h.c, &got); err != nil || !bytes.Equal(got.Bytes(), h.data) {
			t.Fatalf("%d bytes: %v", got.Len(), err)
		}
		took, received = time.Since(began), float64(h.Received())/float64(len(h.data))
		t.Logf("%s, %.3f of the blob's bytes", took, received)
	})
	return took, received
}

// Members are asked for as many rows as each sends while the others do, whichever rows these
// are: source rows of slow members are not waited for, and few rows come twice.
func TestMembersAreAskedForAsMuchAsTheySend(t *testing.T) {
	const slow, fast = 40 * time.Millisecond, 10 * time.Millisecond
	took, received := pacedRead(t, [7]time.Duration{slow, slow, slow, fast, fast, fast, fast})
	if took > 103*slow/2 {
		t.Errorf("the read takes %s; the source rows alone would take %s", took, 103*slow)
	}
	if received > 1.2 {
		t.Errorf("%.2f of the blob's bytes came", received)
	}
}

// A member that is far slower than all others costs a read little, and few bytes twice.
func TestASlowMemberCostsAReadLittle(t *testing.T) {
	const each = 10 * time.Millisecond
	without, _ := pacedRead(t, [7]time.Duration{each, each, each, each, each, each, each})
	with, received := pacedRead(t, [7]time.Duration{time.Second, each, each, each, each, each, each})
	if with > without+600*time.Millisecond || received > 1.1 {
		t.Errorf("%s in place of %s, and %.2f of the blob's bytes", with, without, received)
	}
}

// Rows of an earlier part are asked for before those of a later one.
func TestPartsOfARunTakeTurns(t *testing.T) {
	r := newRun()
	for _, part := range []uint32{24, 0, 12} {
		r.begin(part)
		r.wait(part, true)
	}
	for i, part := range []uint32{0, 12, 24} {
		for _, other := range []uint32{0, 12, 24}[i:] {
			if got := r.isTurn(other); got != (part == other) {
				t.Errorf("part %d may ask: %t, while %d waits", other, got, part)
			}
		}
		next := r.next()
		if i == 1 {
			r.end(part) // it may fail
		} else {
			r.wait(part, false)
		}
		select {
		case <-next:
		default:
			t.Errorf("the others are not told that part %d waits no more", part)
		}
	}
}

// While every holder has enough to send a row waits at the reader, and is then asked of one that
// has room; a row that is late is asked for at once.
func TestRowsWaitForAHolderWithRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newMemoryHolders(t, 1<<20, 20*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // requests end at once
		r := newRun()
		for m := range 7 {
			r.asked(m, 1000)
			for range 10 {
				time.Sleep(time.Millisecond) // virtual
				r.came(m)
			}
		}
		const stripes = 12
		g := &gatherer[struct{}]{f: h.Fetcher, d: h.d, id: h.c.ID, to: stripes, need: 3, run: r,
			ask: func(context.Context, *p2p.FragmentLine, []blob.Place, uint32, uint32, func(uint32, blob.Place, struct{}) error) error {
				return nil
			},
			have: make([]map[blob.Place]struct{}, stripes), pending: map[*request]bool{}, events: make(chan event[struct{}])}
		g.enqueue([]blob.Place{0, 1, 2, 3, 4, 5, 6})
		if left := g.sendInRun(ctx, 3, true); left != 3 || len(g.pending) != 0 {
			t.Errorf("%d of 3 rows wait, %d were asked for, though all have enough to send", left, len(g.pending))
		}
		const free = 4
		r.left(free, 990)
		if left := g.sendInRun(ctx, 3, true); left == 3 {
			t.Error("no row was asked of the member that has room")
		}
		asked := len(g.pending)
		for q := range g.pending {
			if q.member != free {
				t.Errorf("member %d was asked, and %d has room", q.member, free)
			}
		}
		if g.sendInRun(ctx, 1, false); len(g.pending) != asked+1 {
			t.Error("a row that is late waits for room")
		}
		for len(g.pending) > 0 {
			g.close((<-g.events).request)
		}
	})
}
