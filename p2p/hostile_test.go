package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

func frameOf(k kind, v any) []byte {
	b := canon.Encode(v)
	return append(binary.BigEndian.AppendUint32([]byte{byte(k)}, uint32(len(b))), b...)
}

// stranger is connected to h and speaks none of its protocols.
func stranger(t *testing.T, h *Host) interface {
	NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error)
} {
	t.Helper()
	s, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	info, err := peer.AddrInfoFromString(h.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(within(t), *info); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWithoutAHelloNothingIsServed(t *testing.T) {
	r := newRig(t, 2)
	r.server.ServeLedger(echo{})
	who := stranger(t, r.server)
	for id, b := range map[protocol.ID][]byte{
		FragmentProtocol: frameOf(kindGetFragments, getFragments{Blob: r.m.ID(), Places: []blob.Place{0}, To: 1}),
		LedgerProtocol:   frameOf(kindAsk, askFrame{Ask: AskGenesis}),
	} {
		stream, err := who.NewStream(within(t), r.server.ID(), id)
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(stream)
		if _, err := stream.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.receive(idleLimit); !IsRefusal(err, CodeBadRequest) {
			t.Errorf("%s: got %v", id, err)
		}
		s.close(nil)
	}
}

func TestAFloodOfHellosLeavesRoomForOthers(t *testing.T) {
	r := newRig(t, 2)
	who := stranger(t, r.server)
	hello := frameOf(kindHello, Hello{Chain: "net"})
	opened := 0
	for range 2000 { // half of them stall inside the frame
		stream, err := who.NewStream(within(t), r.server.ID(), HelloProtocol)
		if err != nil {
			break
		}
		if _, err := stream.Write(hello[:len(hello)-opened%2]); err != nil {
			stream.Reset()
			break
		}
		opened++
	}
	if _, _, err := r.upload(t); err != nil {
		t.Errorf("after %d hellos nobody is served: %v", opened, err)
	}
}

// One peer opens as many streams as it can, on every protocol, and says half a word
// on each. What it costs is bounded, and others are served.
func TestOnePeersStreamsAreBounded(t *testing.T) {
	r := newRig(t, 2)
	r.server.ServeLedger(echo{})
	attacker := newHost(t, 66, "net")
	if err := attacker.Connect(within(t), r.server.ID(), r.server.Addrs()); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const tries = 10_000
	open := 0
	for _, id := range allProtocols {
		refused := 0
		for i := 0; i < tries/3 && refused < 50; i++ {
			stream, err := attacker.libp2p.NewStream(within(t), r.server.ID(), id)
			if err == nil {
				_, err = stream.Write([]byte{1, 0})
			}
			if err != nil {
				refused++
				continue
			}
			open++
		}
		if refused == 0 {
			t.Errorf("%s: no stream of %d was refused", id, tries/3)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d streams stood open on the attacker's side; the heap of both sides grew by %d KiB", open, grown>>10)
	if grown > 64<<20 {
		t.Errorf("half a word on %d streams costs %d bytes", open, grown)
	}
	if _, _, err := r.upload(t); err != nil {
		t.Errorf("others are not served: %v", err)
	}
	other := newHost(t, 67, "net")
	if err := other.Connect(within(t), r.server.ID(), r.server.Addrs()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.AskLedger(within(t), r.server.ID(), AskGet, []byte("x")); err != nil {
		t.Errorf("others' questions are not answered: %v", err)
	}
}

// A host that starts anew does not know which peers greeted it before; the peer must not be
// shut out until it, too, starts anew.
func TestAPeerThatForgotTheHelloAsksForIt(t *testing.T) {
	r := newRig(t, 2)
	if err := r.client.Connect(within(t), r.server.ID(), r.server.Addrs()); err != nil {
		t.Fatal(err)
	}
	r.server.greeted.forget(r.client.ID())
	if _, _, err := r.upload(t); err != nil {
		t.Error(err)
	}
}

func TestAPeerThatIsSilentOnHelloHoldsNoCallUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		h := newHost(t, 1, "net")
		silent := newHost(t, 2, "net")
		silent.libp2p.SetStreamHandler(HelloProtocol, func(s network.Stream) {})
		ctx, cancel := context.WithCancel(within(t))
		stop := time.AfterFunc(100*time.Millisecond, cancel)
		defer stop.Stop()
		if err := h.Connect(ctx, silent.ID(), silent.Addrs()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// Symbols asked for twice would make a small question have an answer of a gigabyte.
func TestSymbolsAreAskedForOnce(t *testing.T) {
	r := newRig(t, 2)
	if _, _, err := r.upload(t); err != nil {
		t.Fatal(err)
	}
	for _, indices := range [][]int{{1, 1}, {2, 1}, {0, 1, 0}} {
		line, _ := r.line(t)
		err := line.Symbols(within(t), r.m.ID(), blob.Row, []blob.Place{0}, indices, 0, 1, 1<<20, false, func(blob.Place, Symbols) error { return nil })
		if !IsRefusal(err, CodeBadRequest) {
			t.Errorf("%v: got %v", indices, err)
		}
	}
}

func TestAPeersUploadsLeaveRoomForOthers(t *testing.T) {
	s := newSlots(maxUploads, maxPeerUploads)
	for i := range maxPeerUploads {
		if _, ok := s.take("greedy"); !ok {
			t.Fatal(i)
		}
	}
	if _, ok := s.take("greedy"); ok {
		t.Error("one peer takes more than its part")
	}
	release, ok := s.take("other")
	if !ok {
		t.Fatal("another peer gets none")
	}
	release()
	release()
	if s.taken != maxPeerUploads {
		t.Errorf("%d taken: a slot was given back twice", s.taken)
	}
	for i := range maxUploads {
		s.take(peer.ID(fmt.Sprint(i)))
	}
	if s.taken != maxUploads {
		t.Errorf("%d taken, at most %d", s.taken, maxUploads)
	}
}

// patient is a keeper whose uploads are complete at once and wait for a registration.
type patient struct {
	*shelf
	waiting chan struct{}
}

func (p patient) Receive(ctx context.Context, from peer.ID, in *Upload) (Confirmation, error) {
	if err := in.Want(func(uint32) bool { return false }); err != nil {
		return Confirmation{}, err
	}
	if _, err := in.Next(); err != io.EOF {
		return Confirmation{}, err
	}
	p.waiting <- struct{}{}
	<-ctx.Done()
	return Confirmation{}, ctx.Err()
}

// Uploads that wait for a registration that is never paid must not keep others out.
func TestUploadsThatWaitForARegistrationHoldNoSlot(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := newRig(t, 1)
		k := patient{r.keeper, make(chan struct{})}
		r.server.ServeFragments(k)
		for range maxPeerUploads + 3 {
			link := r.link(t)
			defer link.Close(errors.New("done"))
			out, err := link.Offer(r.m, []blob.Place{0})
			if err != nil {
				t.Fatal(err)
			}
			if err := out.link.ask(kindStored, struct {
				_ struct{} `cbor:",toarray"`
			}{}); err != nil {
				t.Fatal(err)
			}
			<-k.waiting
		}
	})
}

func TestAnUploadThatNeverEndsIsEnded(t *testing.T) {
	now := time.Now()
	u := Upload{s: &session{now: func() time.Time { return now }}, began: now}
	if err := u.pace(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(slowStart)
	if err := u.pace(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if err := u.pace(); !IsRefusal(err, CodeBusy) {
		t.Errorf("got %v", err)
	}
	u.s.received = 60 * slowestPace
	if err := u.pace(); err != nil {
		t.Error(err)
	}
}

// The list of wanted stripes must fit into a frame, and what a node would have to
// work out for an offer is bounded.
func TestABlobOfTooManyStripesIsRefused(t *testing.T) {
	shape, err := blob.NewShape(4)
	if err != nil {
		t.Fatal(err)
	}
	full := int64(shape.K1*shape.K2) * int64(shape.MaxSymbol())
	for stripes, want := range map[int64]bool{maxUploadStripes: true, maxUploadStripes + 1: false} {
		l, err := shape.Layout(full * stripes)
		if err != nil {
			t.Fatal(err)
		}
		_, err = readOffer(nil, canon.Encode(Offer{Manifest: blob.NewManifest(l, blob.Hash{}).Encode(), Places: []blob.Place{0}}))
		if (err == nil) != want {
			t.Errorf("%d stripes: %v", stripes, err)
		}
	}
	if n := len(canon.Encode(lackingStripes{Stripes: make([]byte, maxUploadStripes/8)})); n > maxFrame {
		t.Errorf("the list takes %d bytes", n)
	}
}

func TestLiarsAreRememberedWithinBounds(t *testing.T) {
	h := newHost(t, 1, "net")
	for i := range maxScores + 100 {
		h.Blame(peer.ID(fmt.Sprint(i)), errors.New("wrong"))
	}
	if n := len(h.scores.peers); n > maxScores {
		t.Errorf("%d are remembered", n)
	}
	if !h.Avoided(peer.ID(fmt.Sprint(maxScores + 99))) {
		t.Error("the last one is not")
	}
}
