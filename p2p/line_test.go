package p2p

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// later answers transactions only when told to, and everything else at once.
type later struct {
	submitted sync.WaitGroup
	release   chan struct{}
}

func (o *later) Answer(ctx context.Context, _ peer.ID, ask Ask, body []byte) ([]byte, error) {
	if ask == AskSubmit {
		o.submitted.Done()
		select {
		case <-o.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return append([]byte("re "), body...), nil
}

func TestManyAskOnOneLineAndAnswersComeInAnyOrder(t *testing.T) {
	ctx := within(t)
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	const many = 300
	o := &later{release: make(chan struct{})}
	o.submitted.Add(many)
	server.ServeLedger(o)
	if err := client.Connect(ctx, server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			want := fmt.Sprintf("re %d", i)
			if got, err := client.AskLedger(ctx, server.ID(), AskSubmit, []byte(want[3:])); err != nil || string(got) != want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	o.submitted.Wait()
	// While all of them wait, a read is answered.
	if got, err := client.AskLedger(ctx, server.ID(), AskGet, []byte("x")); err != nil || string(got) != "re x" {
		t.Errorf("got %q, %v", got, err)
	}
	close(o.release)
	wg.Wait()
	streams := 0
	for _, c := range client.libp2p.Network().ConnsToPeer(server.ID()) {
		for _, s := range c.GetStreams() {
			if s.Protocol() == LedgerProtocol {
				streams++
			}
		}
	}
	if streams != 1 {
		t.Errorf("%d streams for %d questions", streams, many)
	}
}

func TestALineThatEndedIsOpenedAgain(t *testing.T) {
	ctx := within(t)
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.ServeLedger(echo{})
	if err := client.Connect(ctx, server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.AskLedger(ctx, server.ID(), AskGet, []byte("a")); err != nil {
			t.Fatal(err)
		}
		for _, c := range client.libp2p.Network().ConnsToPeer(server.ID()) {
			for _, s := range c.GetStreams() {
				if s.Protocol() == LedgerProtocol {
					s.Reset()
				}
			}
		}
	}
}

// An answer that does not fit is the fault of the node that made it: a refusal as a bad
// request would keep the asker from asking another.
func TestAnswersThatDoNotFitAreRefusedInWords(t *testing.T) {
	ctx := within(t)
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.ServeLedger(large{})
	if err := client.Connect(ctx, server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	_, err := client.AskLedger(ctx, server.ID(), AskGet, nil)
	if !IsRefusal(err, CodeInternal) || !strings.Contains(err.Error(), "ask for less") {
		t.Errorf("got %v", err)
	}
}

type large struct{}

func (large) Answer(context.Context, peer.ID, Ask, []byte) ([]byte, error) {
	return make([]byte, MaxAnswer+1), nil
}

func FuzzAnswersOfStrangers(f *testing.F) {
	f.Add(byte(kindAnswer), []byte{0x82, 1, 0x41, 7})
	f.Add(byte(kindNo), []byte{0x82, 1, 0x83, 6, 0x61, 'x', 0})
	f.Fuzz(func(t *testing.T, k byte, body []byte) {
		if _, a, err := decodeAnswer(kind(k), body); err == nil && a.err != nil && a.body != nil {
			t.Error("an answer and a refusal at once")
		}
	})
}
