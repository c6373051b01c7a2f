package p2p

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Of answers that are not read the peer with the most gives way, so that one with little
// finds room at once; and nothing more is taken from a peer until it reads.
func TestWhatIsNotReadGivesWayToWhatIsSmall(t *testing.T) {
	b := newUnread()
	left := make(chan peer.ID, 10_000)
	const body = 300 << 10
	for i := range 300 {
		p := peer.ID(fmt.Sprint(i))
		for range 2 * pendingAnswers {
			b.take(p, body, func(error) { left <- p })
		}
	}
	if b.held > maxUnreadBytes {
		t.Errorf("%d bytes are not read", b.held)
	}
	honest, err := b.take("honest", 4<<10, func(error) { t.Error("the honest one gave way") })
	if err != nil {
		t.Fatal(err)
	}
	if err := b.below(t.Context(), "honest", 2, pendingBytes); err != nil {
		t.Errorf("who has one answer is asked for no more: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.below(short, "honest", 1, pendingBytes); err == nil {
		t.Error("it has one answer, and none was read")
	}
	honest()
	honest()
	if err := b.below(t.Context(), "honest", 1, 1); err != nil {
		t.Error(err)
	}
	waits := make(chan error)
	leave, err := b.take("waits", 4<<10, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	go func() { waits <- b.below(t.Context(), "waits", 1, pendingBytes) }()
	leave()
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// A peer in the queue with no place comes before those with several, whenever it came,
// and of equals the first comes first.
func TestThePeerWithTheFewestPlacesIsNext(t *testing.T) {
	p := newPlaces(4, 4, 4, time.Hour)
	var guests []*guest
	for i := range 4 {
		g, ok := p.take(visitor{peer: peer.ID([]string{"large", "large", "large", "small"}[i])}, func() {})
		if !ok {
			t.Fatal("no place")
		}
		guests = append(guests, g)
	}
	order := make(chan string)
	wait := func(id string) {
		p.mu.Lock()
		before := len(p.queue)
		p.mu.Unlock()
		go func() {
			g, ok := p.wait(t.Context(), visitor{peer: peer.ID(id)}, func() {})
			if !ok {
				id = "none"
			}
			order <- id
			_ = g
		}()
		for {
			p.mu.Lock()
			n := len(p.queue)
			p.mu.Unlock()
			if n > before {
				return
			}
			time.Sleep(time.Millisecond) // until it is in the queue
		}
	}
	for _, id := range []string{"large", "small", "first", "second"} {
		wait(id)
	}
	var got []string
	for _, g := range guests {
		g.release()
		got = append(got, <-order)
	}
	if want := []string{"first", "second", "large", "small"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	within, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, ok := p.wait(within, visitor{peer: "late"}, func() {}); ok || len(p.queue) != 0 {
		t.Errorf("a place for the late one: %v; %d wait", ok, len(p.queue))
	}
}
