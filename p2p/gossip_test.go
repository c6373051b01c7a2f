package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/internal/testlevel"
)

// gossiper is a host that gossips, and what its handler was given.
type gossiper struct {
	*Gossip
	host *Host
	stop func() // ends Run and waits for it

	mu    sync.Mutex
	calls map[string]int // of the handler, by message
	from  map[peer.ID]int
	judge func(msg []byte) Validation
	known map[peer.ID]float64 // scores
	names map[string]bool     // IDs under which messages went on
}

// departures notes under which IDs messages go on.
type departures struct {
	*intake
	of *gossiper
}

func (d departures) DeliverMessage(m *pubsub.Message) {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.of.names[m.ID] = true
}

const (
	testTopic    = "/walrus/net/proof/1"
	limitOfTests = 2 * time.Minute
)

func accept([]byte) Validation { return Accept }

func newGossiper(t testing.TB, h *Host, judge func([]byte) Validation, extra ...pubsub.Option) *gossiper {
	t.Helper()
	g, err := NewGossip(h, testTopic)
	if err != nil {
		t.Fatal(err)
	}
	r := &gossiper{Gossip: g, host: h, calls: map[string]int{}, from: map[peer.ID]int{}, judge: judge, names: map[string]bool{}}
	g.extra = append(extra, pubsub.WithRawTracer(departures{g.intake, r}), pubsub.WithPeerScoreInspect(func(scores map[peer.ID]float64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.known = scores
	}, 20*time.Millisecond))
	g.Handle(testTopic, func(_ context.Context, from peer.ID, msg []byte) Validation {
		r.mu.Lock()
		r.calls[name(msg)]++
		r.from[from]++
		judge := r.judge
		r.mu.Unlock()
		return judge(msg)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// name is a message's beginning: enough to tell messages apart, small enough to keep.
func name(msg []byte) string { return string(msg[:min(len(msg), 16)]) }

func (g *gossiper) got(msg []byte) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[name(msg)]
}

func (g *gossiper) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

func (g *gossiper) setJudge(judge func([]byte) Validation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.judge = judge
}

// gossipers are n hosts, each connected to the next ones, that know of each other.
func gossipers(t testing.TB, n, each int) []*gossiper {
	t.Helper()
	out := make([]*gossiper, n)
	for i := range out {
		out[i] = newGossiper(t, newHost(t, i+1, "net"), accept)
	}
	for i := range out {
		for d := 1; d <= each; d++ {
			connect(t, out[i].host, out[(i+d)%n].host)
		}
	}
	for _, g := range out {
		until(t, "the peers are known", func() bool { return g.meshed() >= min(each, n-1, 5) })
	}
	return out
}

// departed is how many messages went on.
func (g *gossiper) departed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.names)
}

// meshed is how many peers g passes messages on to.
func (g *gossiper) meshed() int {
	n, _ := g.mesh.size(testTopic)
	return n
}

// connect tries again: two hosts that dial each other at the same moment may both fail.
func connect(t testing.TB, a, b *Host) {
	t.Helper()
	until(t, "two hosts are connected", func() bool { return a.Connect(within(t), b.ID(), b.Addrs()) == nil })
}

// until waits for what other goroutines bring about. The limit only ends a test that
// has failed.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limitOfTests)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// message is size bytes that no other number has.
func message(number uint64, size int) []byte {
	m := binary.BigEndian.AppendUint64(nil, number)
	var seed [32]byte
	copy(seed[:], m)
	m = append(m, make([]byte, size-len(m))...)
	rand.NewChaCha8(seed).Read(m[8:])
	return m
}

func messages(from, to, size int) [][]byte {
	var out [][]byte
	for i := from; i < to; i++ {
		out = append(out, message(uint64(i), size))
	}
	return out
}

func publish(t testing.TB, g *gossiper, msgs ...[]byte) {
	t.Helper()
	if err := g.Publish(within(t), testTopic, msgs); err != nil {
		t.Fatal(err)
	}
}

// A round's messages come at once. As many as in a round of a thousand shards reach all
// of twenty hosts over several hops in the whole level; and so do messages as large as a
// round's, fewer of them. BenchmarkBurst publishes as many of that size.
func TestABurstReachesAll(t *testing.T) {
	for name, b := range map[string]struct{ hosts, neighbours, each, size int }{
		"many":  {testlevel.Repeat(8, 20, 20), testlevel.Repeat(2, 4, 4), testlevel.Repeat(5, 25, 50), 20 << 10},
		"large": {testlevel.Repeat(4, 8, 8), 2, testlevel.Repeat(2, 10, 25), 200 << 10},
	} {
		t.Run(name, func(t *testing.T) { burst(t, b.hosts, b.neighbours, b.each, b.size) })
	}
}

// burst has each of the hosts publish messages, all at the same time.
func burst(t *testing.T, hosts, neighbours, each, size int) {
	if testlevel.Race {
		size = min(size, 20<<10)
	}
	all := gossipers(t, hosts, neighbours)
	var publishing sync.WaitGroup
	for i, g := range all {
		publishing.Go(func() {
			if err := g.Publish(within(t), testTopic, messages(i*each, (i+1)*each, size)); err != nil {
				t.Error(err)
			}
		})
	}
	publishing.Wait()
	for i, g := range all {
		until(t, "all messages of the others are there", func() bool { return g.count() == (hosts-1)*each })
		for m := range hosts * each {
			if own := m/each == i; g.got(message(uint64(m), 16)) > 0 == own && !own {
				t.Errorf("host %d lacks message %d", i, m)
			}
		}
	}
}

func TestAPeerWhoseMessagesAreRejectedIsShutOut(t *testing.T) {
	virtual(t, func(t *testing.T) {
		all := gossipers(t, 2, 1)
		judge, other := all[0], all[1]
		// It sends to all it knows: peers that only met it in the mesh would prune it and be spared.
		liar := newGossiper(t, newHost(t, 66, "net"), accept, pubsub.WithFloodPublish(true))
		for _, g := range all {
			connect(t, liar.host, g.host)
		}
		until(t, "the liar is known", func() bool { return liar.meshed() == 2 })
		for _, g := range all {
			g.setJudge(func(msg []byte) Validation {
				if msg[8] == 0xff {
					return Reject
				}
				return Accept
			})
		}
		lie := func(n int) []byte {
			m := message(uint64(n), 64)
			m[8] = 0xff
			return m
		}
		sent := 0
		for judge.score(liar) >= graylistThreshold || other.score(liar) >= graylistThreshold {
			publish(t, liar, lie(sent))
			sent++
			if sent > 10 {
				t.Fatalf("after %d rejected messages the scores are %v and %v", sent, judge.score(liar), other.score(liar))
			}
			// Both have judged it, or read nothing of the liar any more.
			until(t, "the message is judged", func() bool {
				m := lie(sent - 1)
				return (judge.got(m) > 0 || judge.score(liar) < graylistThreshold) && (other.got(m) > 0 || other.score(liar) < graylistThreshold)
			})
		}
		if !judge.host.Avoided(liar.host.ID()) {
			t.Error("other protocols do not know of it")
		}
		// What it sends now comes in and no handler reads it, and the others talk on.
		truth := message(1000, 64)
		publish(t, liar, truth)
		until(t, "the liar's frame is there", func() bool { return judge.intake.leftOver(truth) && other.intake.leftOver(truth) })
		publish(t, other, message(1001, 64))
		until(t, "the others talk on", func() bool { return judge.got(message(1001, 64)) > 0 })
		if judge.got(truth) > 0 || other.got(truth) > 0 {
			t.Error("a message of the liar arrived")
		}
	})
}

// leftOver says whether a message came in the last frame and was not asked for.
func (in *intake) leftOver(msg []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for m := range in.due {
		if name(m.GetData()) == name(msg) {
			return true
		}
	}
	return false
}

// score is what g's gossip makes of a peer.
func (g *gossiper) score(p *gossiper) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[p.host.ID()]
}

// The named attack: a proof that comes before its round is ignored, and when its time
// has come the seen cache must not swallow it.
func TestAnIgnoredMessageReachesItsHandlerAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		all := gossipers(t, 3, 2)
		early := message(1, 1000)
		for _, g := range all[1:] {
			g.setJudge(func([]byte) Validation { return Ignore })
		}
		publish(t, all[0], early)
		for _, g := range all[1:] {
			until(t, "the early message was ignored", func() bool { return g.got(early) > 0 })
		}
		for _, g := range all[1:] {
			g.setJudge(accept)
		}
		before := all[1].got(early)
		// A host that knows nothing of what was sent sends the same bytes.
		again := newGossiper(t, newHost(t, 9, "net"), accept)
		connect(t, again.host, all[1].host)
		until(t, "the new host is known", func() bool { return again.meshed() > 0 && all[1].meshed() > 2 })
		publish(t, again, early)
		until(t, "the message is judged again, and goes on", func() bool { return all[1].got(early) > before })
		// Accepted, it is known for good: nothing more of it is judged.
		once := all[1].got(early)
		third := newGossiper(t, newHost(t, 10, "net"), accept)
		connect(t, third.host, all[1].host)
		until(t, "the third host is known", func() bool { return third.meshed() > 0 && all[1].meshed() > 3 })
		publish(t, third, early, message(2, 100))
		until(t, "what was sent after it is there", func() bool { return all[1].got(message(2, 100)) > 0 && all[1].departed() == 2 })
		id := hashMessage(testTopic, early)
		all[1].mu.Lock()
		if !all[1].names[string(id[:])] || len(all[1].names) != 2 {
			t.Errorf("%d messages went on, and none under the ID %x that others know the early one by", len(all[1].names), id)
		}
		all[1].mu.Unlock()
		if n := all[1].got(early); n != once {
			t.Errorf("an accepted message was judged %d times more", n-once)
		}
	})
}

// A host that holds an early message passes it on when its time has come.
func TestAHeldMessageIsPassedOn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		all := gossipers(t, 2, 1)
		maker, holder := all[0], all[1]
		holder.setJudge(func([]byte) Validation { return Ignore })
		early := message(1, 1000)
		publish(t, maker, early)
		until(t, "the message was ignored", func() bool { return holder.got(early) > 0 })
		maker.stop()
		if err := maker.host.Close(); err != nil {
			t.Fatal(err)
		}
		third := newGossiper(t, newHost(t, 9, "net"), accept)
		connect(t, third.host, holder.host)
		until(t, "the third is there", func() bool { return holder.meshed() == 1 && third.meshed() == 1 })
		publish(t, holder, message(2, 1000))
		until(t, "the third hears", func() bool { return third.got(message(2, 1000)) > 0 })
		if third.got(early) > 0 {
			t.Fatal("an ignored message went on")
		}
		publish(t, holder, early)
		until(t, "the message was passed on", func() bool { return third.got(early) > 0 })
	})
}

func TestUnknownTopicsAreRefused(t *testing.T) {
	h := newHost(t, 1, "net")
	g := newGossiper(t, h, accept)
	if err := g.Publish(within(t), "/walrus/other/proof/1", [][]byte{{1}}); err == nil {
		t.Error("published in an unknown topic")
	}
	for _, size := range []int{0, MaxMessage + 1} {
		if err := g.Publish(within(t), testTopic, [][]byte{make([]byte, size)}); err == nil {
			t.Errorf("published %d bytes", size)
		}
	}
	for _, topics := range [][]string{nil, {""}, {"a", "a"}, make([]string, maxTopics+1)} {
		if _, err := NewGossip(h, topics...); err == nil {
			t.Errorf("topics %q are taken", topics)
		}
	}
}

func TestALargestMessageArrives(t *testing.T) {
	all := gossipers(t, 2, 1)
	m := message(1, MaxMessage)
	publish(t, all[0], m)
	until(t, "the message is there", func() bool { return all[1].got(m) > 0 })
}

func TestAHostThatComesBackGetsWhatIsLater(t *testing.T) {
	virtual(t, func(t *testing.T) {
		all := gossipers(t, 4, 2)
		gone := all[3]
		gone.stop()
		if err := gone.Publish(within(t), testTopic, [][]byte{{1}}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("published after the end: %v", err)
		}
		if err := gone.host.Close(); err != nil {
			t.Fatal(err)
		}
		publish(t, all[0], message(1, 100))
		for _, g := range all[1:3] {
			until(t, "the others go on", func() bool { return g.got(message(1, 100)) > 0 })
		}
		back := newGossiper(t, newHost(t, 4, "net"), accept)
		for _, g := range all[:2] {
			connect(t, back.host, g.host)
		}
		until(t, "it is known again", func() bool { return back.meshed() >= 2 && all[0].meshed() >= 3 })
		publish(t, all[0], message(2, 100))
		publish(t, back, message(3, 100))
		until(t, "it hears and is heard", func() bool { return back.got(message(2, 100)) > 0 && all[2].got(message(3, 100)) > 0 })
	})
}

// Run returns when no handler runs, and a handler is told to end.
func TestRunWaitsForItsHandlers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		a, b := newHost(t, 1, "net"), newHost(t, 2, "net")
		sender := newGossiper(t, a, accept)
		g, err := NewGossip(b, testTopic)
		if err != nil {
			t.Fatal(err)
		}
		began, ended := make(chan struct{}), false
		g.Handle(testTopic, func(ctx context.Context, _ peer.ID, _ []byte) Validation {
			close(began)
			<-ctx.Done()
			ended = true // read after Run: the race detector sees which waited
			return Accept
		})
		ctx, cancel := context.WithCancel(within(t))
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		connect(t, a, b)
		until(t, "the peer is known", func() bool { return sender.meshed() > 0 })
		publish(t, sender, message(1, 100))
		<-began
		cancel()
		if err := <-done; err != nil || !ended {
			t.Errorf("Run ended with %v while a handler ran", err)
		}
	})
}

// A handler that hangs is told to end; others do not wait for it for ever.
func TestASlowHandlerDoesNotBlockForEver(t *testing.T) {
	virtual(t, func(t *testing.T) {
		all := gossipers(t, 2, 1)
		slow := newHost(t, 3, "net")
		g, err := NewGossip(slow, testTopic)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		judged := 0
		g.Handle(testTopic, func(ctx context.Context, _ peer.ID, msg []byte) Validation {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			judged++
			return Ignore
		})
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		connect(t, slow, all[0].host)
		until(t, "the slow one is known", func() bool { return all[0].meshed() == 2 })
		publish(t, all[0], messages(0, minJudges+2, 100)...)
		until(t, "all are judged at last", func() bool { mu.Lock(); defer mu.Unlock(); return judged >= minJudges+2 })
		until(t, "others were served", func() bool { return all[1].count() == minJudges+2 })
		cancel()
		<-done
	})
}
