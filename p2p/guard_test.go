package p2p

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// panicky is an Oracle and a Keeper with a fault.
type panicky struct{}

func (panicky) Answer(context.Context, peer.ID, Ask, []byte) ([]byte, error) { panic("oracle") }
func (panicky) Receive(context.Context, peer.ID, *Upload) (Confirmation, error) {
	panic("receive")
}
func (panicky) Fragment(context.Context, blob.Position) ([]byte, []byte, error) { panic("fragment") }
func (panicky) Symbols(context.Context, blob.Position, []int, bool) (Symbols, error) {
	panic("symbols")
}
func (panicky) Witness(context.Context, blob.ID, uint32, blob.Place) ([]byte, error) {
	panic("witness")
}

// A fault that a peer's bytes meet costs its stream or its question, never the process,
// and gives back every place.
func TestAPanicInAHandlerEndsItsStreamAlone(t *testing.T) {
	r := newRig(t, 1)
	r.server.ServeFragments(panicky{})
	r.server.ServeLedger(panicky{})
	r.server.ServeProofs(func(context.Context, peer.ID, unit.Epoch, unit.Round, blob.Shard) ([]byte, error) { panic("proof") }, nobody)
	connect(t, r.client, r.server)
	for range 3 {
		line, _ := r.line(t)
		if err := line.Pieces(within(t), r.m.ID(), blob.Row, []blob.Place{0}, 0, 1, 1<<20, func(Piece) error { return nil }); err == nil {
			t.Error("a fragment came")
		}
		link := r.link(t)
		if _, err := link.Offer(r.m, []blob.Place{0}); err == nil {
			t.Error("an offer was taken")
		}
		link.Close(nil)
		if _, err := r.client.AskLedger(within(t), r.server.ID(), AskStatus, nil); !IsRefusal(err, CodeInternal) {
			t.Errorf("a ledger question: %v", err)
		}
		if _, err := r.client.AskLedger(within(t), r.server.ID(), AskSubmit, nil); !IsRefusal(err, CodeInternal) {
			t.Errorf("a transaction: %v", err)
		}
		if _, err := r.client.AskProofs(within(t), r.server.ID(), 1, 1, []blob.Shard{1}); err == nil {
			t.Error("a proof came")
		}
	}
	// The line stays, and a place is not lost with each panic.
	desks := r.server.admission.desks
	if desks.all == nil {
		t.Fatal("there is no desk")
	}
	until(t, "all places at the desks are free", func() bool {
		desks.mu.Lock()
		defer desks.mu.Unlock()
		return desks.taken == 0
	})
}

func TestAPanicInAGossipHandlerRejectsTheMessage(t *testing.T) {
	h := newHost(t, 1, "net")
	g, err := NewGossip(h, "t")
	if err != nil {
		t.Fatal(err)
	}
	judge := g.validator(func(context.Context, peer.ID, []byte) Validation { panic("judge") })
	topic := "t"
	if got := judge(t.Context(), "other", &pubsub.Message{Message: &pb.Message{Topic: &topic, Data: []byte{1}}}); got != pubsub.ValidationReject {
		t.Errorf("verdict %v", got)
	}
	if !h.Avoided("other") {
		t.Error("nobody is blamed")
	}
}

// A peer that finds a panic must not fill the log with it.
func TestStacksInTheLogAreBounded(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	panics.mu.Lock()
	panics.since, panics.logged = time.Time{}, 0
	panics.mu.Unlock()
	for range 10 * panicsLogged {
		if err := Guard(log, "work", func() error { panic("\x1b[2Jwhy") }); !errors.Is(err, ErrPanic) {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "level=ERROR"); n != panicsLogged {
		t.Errorf("%d stacks are logged", n)
	}
	if strings.ContainsRune(out.String(), 0x1b) || !strings.Contains(out.String(), "guard_test.go") {
		t.Error("no stack, or a raw one")
	}
}
