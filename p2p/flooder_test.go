package p2p

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"github.com/walrus-network/walrus/internal/testlevel"
)

// flooder speaks gossipsub by hand, and keeps to nothing.
type flooder struct {
	t    testing.TB
	host *Host
	to   *gossiper
	s    network.Stream
}

func newFlooder(t testing.TB, to *gossiper) *flooder {
	f := &flooder{t: t, host: newHost(t, 77, "net"), to: to}
	f.host.libp2p.SetStreamHandler(gossipProtocol, func(s network.Stream) { // it reads nothing
		<-f.host.closing.Done()
		s.Reset()
	})
	connect(t, f.host, to.host)
	f.open()
	return f
}

func (f *flooder) open() {
	var err error
	if f.s, err = f.host.libp2p.NewStream(within(f.t), f.to.host.ID(), gossipProtocol); err != nil {
		f.t.Fatal(err)
	}
}

// send says whether the bytes left; a stream that was reset is opened anew.
func (f *flooder) send(rpc *pb.RPC) bool {
	body, err := proto.Marshal(rpc)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.write(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
}

func (f *flooder) write(b []byte) bool {
	f.s.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := f.s.Write(b); err != nil {
		f.s.Reset()
		f.open()
		return false
	}
	return true
}

func gossipMessage(topic string, data []byte) *pb.Message {
	return &pb.Message{Topic: &topic, Data: data}
}

// Flooder: topics by the ten thousand, messages by the hundred thousand, oversized
// ones, garbage. Honest messages arrive meanwhile, and memory does not grow.
func TestAFloodKeepsNoHonestMessageOut(t *testing.T) {
	all := gossipers(t, 2, 1)
	honest, victim := all[0], all[1]
	var mu sync.Mutex
	seen := 0
	victim.setJudge(func(msg []byte) Validation {
		mu.Lock()
		defer mu.Unlock()
		seen++
		if binary.BigEndian.Uint64(msg) < 1000 {
			return Accept
		}
		return Ignore // what is not provably false is the flood that scores do not end
	})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := newFlooder(t, victim)
	total := 100_000
	if testing.Short() || testlevel.Race {
		total = 10_000
	}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range 200 {
			if err := honest.Publish(within(t), testTopic, messages(i, i+1, 10_000)); err != nil {
				t.Error(err)
			}
		}
	})
	subscribe := true
	var subs []*pb.RPC_SubOpts
	for i := range 10_000 {
		topic := fmt.Sprintf("/spam/%d", i)
		subs = append(subs, &pb.RPC_SubOpts{Subscribe: &subscribe, Topicid: &topic})
	}
	for at := 0; at < len(subs); at += maxTopics {
		f.send(&pb.RPC{Subscriptions: subs[at:min(at+maxTopics, len(subs))]})
	}
	f.send(&pb.RPC{Subscriptions: subs})
	for i := 0; i < total; i += 100 {
		rpc := new(pb.RPC)
		for j := range 100 {
			topic := testTopic
			if j%4 == 3 {
				topic = fmt.Sprintf("/spam/%d", i+j)
			}
			rpc.Publish = append(rpc.Publish, gossipMessage(topic, message(uint64(1000+i+j), 100)))
		}
		f.send(rpc)
	}
	for i := range 500 { // large ones, within bounds
		f.send(&pb.RPC{Publish: []*pb.Message{gossipMessage(testTopic, message(uint64(1<<40+i), MaxMessage))}})
	}
	publishing.Wait()
	until(t, "all honest messages are there", func() bool {
		for i := range 200 {
			if victim.got(message(uint64(i), 16)) == 0 {
				return false
			}
		}
		return true
	})
	for range 20 {
		f.send(&pb.RPC{Publish: []*pb.Message{gossipMessage(testTopic, make([]byte, 4*MaxMessage))}})
		f.write(append(binary.AppendUvarint(nil, 64), make([]byte, 64)...)) // garbage
	}
	// Still honest messages come, and the mesh stands.
	publish(t, honest, message(999, 100))
	until(t, "one more honest message is there", func() bool { return victim.got(message(999, 100)) > 0 })
	until(t, "nothing waits any more", func() bool {
		victim.intake.mu.Lock()
		defer victim.intake.mu.Unlock()
		return len(victim.intake.waiting) == 0 && victim.intake.all == load{} && len(victim.intake.of) == 0
	})
	victim.mu.Lock()
	victim.calls = map[string]int{}
	victim.mu.Unlock()
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	mu.Lock()
	t.Logf("%d of %d messages reached the handler; the heap grew by %d KiB", seen, total, grown>>10)
	mu.Unlock()
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if n := len(victim.pubsub.GetTopics()); n > 1 {
		t.Errorf("%d topics", n)
	}
	if !victim.host.Avoided(f.host.ID()) {
		t.Error("topics that nobody named go unpunished")
	}
}

// What waits for handlers is bounded in number and bytes, of one peer and of all.
func TestWhatWaitsForHandlersIsBounded(t *testing.T) {
	all := gossipers(t, 1, 0)
	victim := all[0]
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	victim.setJudge(func([]byte) Validation { <-hold; return Ignore })
	f := newFlooder(t, victim)
	sent := 0
	for range 2 * maxPeerBytes / MaxMessage {
		f.send(&pb.RPC{Publish: []*pb.Message{gossipMessage(testTopic, message(uint64(sent), MaxMessage))}})
		sent++
	}
	for range 3 * maxPeerMessages / 100 {
		rpc := new(pb.RPC)
		for range 100 {
			rpc.Publish = append(rpc.Publish, gossipMessage(testTopic, message(uint64(sent), 100)))
			sent++
		}
		f.send(rpc)
	}
	subscribe, topic := true, testTopic
	f.send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Subscribe: &subscribe, Topicid: &topic}}}) // the last frame
	until(t, "all frames were read", func() bool { return len(victim.Peers(testTopic)) == 1 })
	victim.intake.mu.Lock()
	of := victim.intake.of[f.host.ID()]
	victim.intake.mu.Unlock()
	if of.messages > maxPeerMessages || of.bytes > maxPeerBytes || of.bytes < maxPeerBytes/2 {
		t.Errorf("%d messages with %d bytes of one peer wait", of.messages, of.bytes)
	}
	// Another peer's message finds room, and is judged once the handlers go on.
	other := newGossiper(t, newHost(t, 5, "net"), accept)
	connect(t, other.host, victim.host)
	until(t, "the other is there", func() bool { return other.meshed() > 0 })
	honest := message(1<<50, 1000)
	publish(t, other, honest)
	until(t, "it waits", func() bool {
		victim.intake.mu.Lock()
		defer victim.intake.mu.Unlock()
		return victim.intake.of[other.host.ID()].messages == 1
	})
	release()
	until(t, "it is judged", func() bool { return victim.got(honest) > 0 })
}

// A stranger's frame is inspected before anything else is done with it.
func FuzzGossipFrame(f *testing.F) {
	frame := func(rpc *pb.RPC) []byte {
		b, err := proto.Marshal(rpc)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(frame(&pb.RPC{Publish: []*pb.Message{gossipMessage(testTopic, []byte("x")), gossipMessage("/other", []byte("y")), gossipMessage(testTopic, nil)}}))
	f.Add(frame(&pb.RPC{Publish: []*pb.Message{{}}})) // neither topic nor bytes
	f.Fuzz(func(t *testing.T, b []byte) {
		rpc := new(pubsub.RPC)
		if proto.Unmarshal(b, &rpc.RPC) != nil {
			return
		}
		h := &Host{scores: scores{now: time.Now, peers: map[peer.ID]*score{}}, log: slog.New(slog.DiscardHandler)}
		g, err := NewGossip(h, testTopic)
		if err != nil {
			t.Fatal(err)
		}
		before := len(rpc.Publish)
		if err := g.intake.inspect("stranger", rpc); err != nil {
			t.Fatal(err)
		}
		for _, m := range rpc.Publish {
			if m.GetTopic() != testTopic || len(m.GetData()) < 1 || len(m.GetData()) > MaxMessage {
				t.Errorf("took %d bytes in topic %q", len(m.GetData()), m.GetTopic())
			}
			g.intake.id(m)
			g.intake.leave(m)
		}
		if g.intake.all != (load{}) || len(g.intake.of) > 0 || len(g.intake.waiting) > 0 {
			t.Error("something waits for ever")
		}
		if (before > len(rpc.Publish)) != h.Avoided("stranger") {
			t.Errorf("%d of %d messages taken, avoided: %v", len(rpc.Publish), before, h.Avoided("stranger"))
		}
	})
}
