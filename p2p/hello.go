package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// HelloProtocol is spoken once per connection, by the peer that first opens another stream.
const HelloProtocol protocol.ID = "/walrus/hello/1"

const kindHello kind = 1

const (
	helloLimit = 10 * time.Second // for which either side waits for the other's hello
	// helloGrace is for how long a stream may be ahead of the hello that was sent before it.
	helloGrace = 500 * time.Millisecond
)

// Hello is how two processes find out that they belong to the same network.
type Hello struct {
	_       struct{} `cbor:",toarray"`
	Chain   string   // chain ID; empty: a client that has yet to fetch the genesis
	Version string   // of the software, for people
	Ledger  string   // host:port of the peer's CometBFT transport; empty if it runs none
}

// maxHelloText bounds what a stranger may call itself.
const maxHelloText = 256

// cleaned is a peer's hello with words fit to be shown. A text that is too long keeps
// one byte too many, so that check finds it.
func (h Hello) cleaned() Hello {
	h.Version, h.Ledger, h.Chain = Clean(h.Version, maxHelloText+1), Clean(h.Ledger, maxHelloText+1), Clean(h.Chain, maxHelloText+1)
	return h
}

func (h Hello) check(mine string) error {
	if len(h.Chain) > maxHelloText || len(h.Version) > maxHelloText || len(h.Ledger) > maxHelloText {
		return Refuse(CodeBadRequest, "hello with a text over %d bytes", maxHelloText)
	}
	if h.Chain != mine && h.Chain != "" && mine != "" {
		return Refuse(CodeWrongNetwork, "this is a peer of the network %q, you belong to %q: check the bootstrap addresses and network.toml", mine, h.Chain)
	}
	return nil
}

// greetings remembers the peers that said hello on a connection that still stands.
type greetings struct {
	mu      sync.Mutex // guards the fields below
	peers   map[peer.ID]Hello
	awaited map[peer.ID]chan struct{} // closed when the peer has said hello, or is gone
}

// await waits until a peer has said hello, for a while.
func (g *greetings) await(ctx context.Context, p peer.ID, limit time.Duration) bool {
	g.mu.Lock()
	if _, ok := g.peers[p]; ok {
		g.mu.Unlock()
		return true
	}
	said := g.awaited[p]
	if said == nil {
		said = make(chan struct{})
		g.awaited[p] = said
	}
	g.mu.Unlock()
	wait := time.NewTimer(limit)
	defer wait.Stop()
	select {
	case <-said:
		_, ok := g.get(p)
		return ok
	case <-wait.C:
	case <-ctx.Done():
	}
	return false
}

// heard wakes those that wait for a peer. The caller holds mu.
func (g *greetings) heard(p peer.ID) {
	if said := g.awaited[p]; said != nil {
		close(said)
		delete(g.awaited, p)
	}
}

func (g *greetings) get(p peer.ID) (Hello, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, ok := g.peers[p]
	return h, ok
}

func (g *greetings) set(p peer.ID, h Hello) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers[p] = h
	g.heard(p)
}

func (g *greetings) forget(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.peers, p)
	g.heard(p)
}

func (g *greetings) all() map[peer.ID]Hello {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[peer.ID]Hello, len(g.peers))
	for p, h := range g.peers {
		out[p] = h
	}
	return out
}

// greet says hello to a peer unless that was done on this connection, and returns what it answered.
func (h *Host) greet(ctx context.Context, p peer.ID) (Hello, error) {
	if got, ok := h.greeted.get(p); ok {
		return got, nil
	}
	s, err := h.startHello(ctx, p)
	if err != nil {
		return Hello{}, err
	}
	return h.endHello(ctx, p, s, func(*Refusal) {})
}

// startHello sends a hello.
func (h *Host) startHello(ctx context.Context, p peer.ID) (*session, error) {
	stream, err := h.stream(ctx, p, HelloProtocol)
	if err != nil {
		return nil, fmt.Errorf("say hello to %s: %w", p, err)
	}
	s := newSession(stream)
	err = s.send(kindHello, h.hello)
	if err == nil {
		err = s.flush()
	}
	if err != nil {
		s.close(err)
		return nil, fmt.Errorf("say hello to %s: %w", p, err)
	}
	return s, nil
}

// endHello waits for the answer to a hello. A peer of another network is left, which ends
// its streams; refused is told why before.
func (h *Host) endHello(ctx context.Context, p peer.ID, s *session, refused func(*Refusal)) (Hello, error) {
	stop := context.AfterFunc(ctx, func() { s.stream.Reset() }) // a silent peer holds up no other
	var answer Hello
	err := s.expect(kindHello, &answer, helloLimit)
	if answer = answer.cleaned(); err == nil {
		err = answer.check(h.hello.Chain)
	}
	if !stop() && err != nil {
		err = ctx.Err()
	}
	s.close(err)
	if err != nil {
		var why *Refusal
		if errors.As(err, &why) && why.Code == CodeWrongNetwork {
			refused(why)
			h.libp2p.Network().ClosePeer(p)
		}
		return Hello{}, fmt.Errorf("say hello to %s: %w", p, err)
	}
	h.greeted.set(p, answer)
	return answer, nil
}

func (h *Host) serveHello(_ context.Context, s *session) {
	var theirs Hello
	if err := s.expect(kindHello, &theirs, firstLimit); err != nil {
		s.close(err)
		return
	}
	theirs = theirs.cleaned()
	if err := theirs.check(h.hello.Chain); err != nil {
		s.refuse(err)
		s.close(nil) // a reset would overtake the words
		return
	}
	// Before the answer: with it the peer may open its next stream at once.
	h.greeted.set(s.peer(), theirs)
	err := s.send(kindHello, h.hello)
	if err == nil {
		err = s.flush()
	}
	s.close(err)
}
