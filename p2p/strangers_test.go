package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
)

// strange is a stranger with an address of its own: 127.1.i.1.
func strange(t testing.TB, i int) *Host {
	t.Helper()
	return open(t, Config{Key: key(1000 + i), Listen: []string{fmt.Sprintf("/ip4/127.1.%d.1/tcp/0", i)}, Hello: Hello{Chain: "net", Version: "x"}})
}

// wary is a server that counts loopback addresses.
func wary(t testing.TB) *Host {
	t.Helper()
	return open(t, Config{Key: key(1), Listen: []string{loopback}, CountLoopback: true, Hello: Hello{Chain: "net", Version: "test"}})
}

func wariRig(t *testing.T, stripes int64) *rig {
	r := newRig(t, stripes)
	r.server = wary(t)
	r.server.ServeFragments(r.keeper)
	return r
}

func (r *rig) read(t *testing.T) error {
	l, err := r.client.FragmentLine(within(t), r.server.ID(), r.server.Addrs(), new(atomic.Int64))
	if err != nil {
		return err
	}
	defer l.End()
	return l.Pieces(within(t), r.m.ID(), blob.Row, []blob.Place{0}, 0, 1, r.layout.FragmentBytes(0, blob.Row), func(Piece) error { return nil })
}

// Streams on which nothing is asked, or a byte only, keep no client from reading.
func TestSilentStrangersDoNotStopReads(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	r := wariRig(t, 2)
	if _, _, err := r.upload(t); err != nil {
		t.Fatal(err)
	}
	open := 0
	for i := range 20 {
		who := strange(t, i)
		for range 128 {
			l, err := who.Fragments(within(t), r.server.ID(), r.server.Addrs())
			if err != nil {
				break
			}
			if _, err := l.s.stream.Write([]byte{byte(kindGetFragments)}); err != nil {
				break
			}
			open++
		}
	}
	if open < 500 {
		t.Fatalf("only %d streams were opened: the attack is none", open)
	}
	for range 20 {
		if err := r.read(t); err != nil {
			t.Fatalf("%d streams of 20 strangers that have sent a byte each: a reader is told: %v", open, err)
		}
	}
	p := r.server.admission.of(FragmentProtocol)
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.of {
		if n > maxPeerStreams {
			t.Errorf("%s has %d streams", id, n)
		}
	}
}

// Offers without stripes keep their places for seconds at most.
func TestSilentOffersDoNotStopUploads(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := wariRig(t, 2)
		taken := 0
		for i := range maxUploads {
			who := strange(t, i)
			for range maxPeerUploads + 1 {
				l, err := who.Fragments(within(t), r.server.ID(), r.server.Addrs())
				if err == nil {
					if _, err = l.Offer(r.m, []blob.Place{0}); err == nil {
						taken++
					}
				}
			}
			if taken >= maxUploads {
				break
			}
		}
		if taken < maxUploads {
			t.Fatalf("%d offers were taken: the attack is none", taken)
		}
		began := time.Now()
		for {
			_, _, err := r.upload(t)
			if err == nil {
				break
			}
			if !IsRefusal(err, CodeBusy) || time.Since(began) > 10*time.Second {
				t.Fatalf("%d silent offers: an honest upload is refused for %s: %v", taken, time.Since(began), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// The end of a stream where a stripe was due is the end of the upload, and no "that is all".
func TestAnUploadThatHangsUpIsNotComplete(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := newRig(t, 3)
		ended := make(chan error, 1)
		r.server.ServeFragments(listening{r.keeper, ended})
		for what, hangUp := range map[string]func(*Link){
			"closes": func(l *Link) { l.Close(nil) },
			"resets": func(l *Link) { l.Close(errors.New("gone")) },
		} {
			l := r.link(t)
			out, err := l.Offer(r.m, []blob.Place{0})
			if err != nil {
				t.Fatal(err)
			}
			if err := out.Send(0, make(blob.RootList, r.layout.N), nil, r.fragment(0, blob.Row), r.fragment(0, blob.Column)); err != nil {
				t.Fatal(err)
			}
			hangUp(l)
			select {
			case err := <-ended:
				if err == nil || err == io.EOF || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: the upload ended with %v", what, err)
				}
			case <-time.After(5 * time.Second):
				t.Errorf("%s: the upload goes on after its client has gone", what)
			}
		}
	})
}

// listening says how Next ended.
type listening struct {
	*shelf
	ended chan error
}

func (l listening) Receive(_ context.Context, _ peer.ID, in *Upload) (Confirmation, error) {
	err := in.Want(func(uint32) bool { return true })
	for err == nil {
		_, err = in.Next()
	}
	l.ended <- err
	return Confirmation{}, err
}

// A client that hangs up while the node waits to see its payment is waited for no longer.
func TestWaitingForAPaymentEndsWithTheClient(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := newRig(t, 1)
		ended := make(chan struct{})
		r.server.ServeFragments(unpaid{r.keeper, ended})
		l := r.link(t)
		out, err := l.Offer(r.m, []blob.Place{0})
		if err != nil {
			t.Fatal(err)
		}
		go out.Finish()
		time.Sleep(100 * time.Millisecond) // it waits by now
		l.Interrupt()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("the node waits for a client that has gone")
		}
	})
}

type unpaid struct {
	*shelf
	ended chan struct{}
}

func (u unpaid) Receive(ctx context.Context, _ peer.ID, in *Upload) (Confirmation, error) {
	if err := in.Want(func(uint32) bool { return false }); err != nil {
		return Confirmation{}, err
	}
	if _, err := in.Next(); err != io.EOF {
		return Confirmation{}, err
	}
	<-ctx.Done()
	close(u.ended)
	return Confirmation{}, context.Cause(ctx)
}

// A request names each fragment once: 60 KB must not be answered with 19 GB.
func TestAFragmentIsAskedForOnce(t *testing.T) {
	r := newRig(t, 1)
	if _, _, err := r.upload(t); err != nil {
		t.Fatal(err)
	}
	again := make([]blob.Place, 60_000)
	for what, ask := range map[string]func(*FragmentLine) error{
		"fragments": func(l *FragmentLine) error {
			return l.Pieces(within(t), r.m.ID(), blob.Row, again, 0, 1, 1<<20, func(Piece) error { return nil })
		},
		"witnesses": func(l *FragmentLine) error {
			return l.Witnesses(within(t), r.m.ID(), again[:2], 0, 1, func(Piece) error { return nil })
		},
	} {
		l, got := r.line(t)
		if err := ask(l); err == nil || got.Load() > 4096 {
			t.Errorf("%s: %d bytes, %v", what, got.Load(), err)
		}
	}
}

// gigantic answers every question with as much as there may be.
type gigantic struct{}

func (gigantic) Answer(_ context.Context, _ peer.ID, ask Ask, _ []byte) ([]byte, error) {
	if ask == AskStatus {
		return []byte("well"), nil
	}
	return make([]byte, MaxAnswer), nil
}

// Peers that ask and never read cost bounded memory, and keep no client from asking.
func TestUnreadAnswersAreBoundedAndStopNoPeer(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	server := wary(t)
	server.ServeLedger(gigantic{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	asked := 0
	for i := range 30 {
		who := strange(t, i)
		for range maxPeerStreams {
			s, err := who.open(within(t), server.ID(), server.Addrs(), LedgerProtocol)
			if err != nil {
				t.Fatal(err)
			}
			s.stream.SetWriteDeadline(time.Now().Add(time.Second))
			for n := range uint64(200) {
				if err := s.send(kindAsk, askFrame{Number: n, Ask: AskGet, Body: make([]byte, 100)}); err != nil {
					break
				}
				asked++
			}
			s.flush()
		}
	}
	client := newHost(t, 500, "net")
	if err := client.Connect(within(t), server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		began := time.Now()
		if _, err := client.AskLedger(within(t), server.ID(), AskStatus, nil); err != nil {
			t.Fatalf("%d questions whose answers nobody reads: an honest one: %v after %s", asked, err, time.Since(began))
		}
	}
	runtime.GC()
	runtime.GC() // what pools lend is free after the second
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d questions of 30 strangers that read nothing: the heap of all grew by %d MiB", asked, grown>>20)
	if grown > 160<<20 {
		t.Errorf("%d questions of 30 strangers that read nothing: the heap of all grew by %d MiB", asked, grown>>20)
	}
}

// halted never answers a transaction.
type halted struct{}

func (halted) Answer(ctx context.Context, _ peer.ID, ask Ask, _ []byte) ([]byte, error) {
	if ask == AskSubmit {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []byte("well"), nil
}

// Transactions that wait for ever are bounded in bytes, and others find room.
func TestWaitingTransactionsOfStrangersStopNoClient(t *testing.T) {
	virtual(t, func(t *testing.T) {
		server := wary(t)
		server.ServeLedger(halted{})
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(within(t))
		defer all.Wait()
		defer cancel()
		for i := range 12 {
			who := strange(t, i)
			if err := who.Connect(ctx, server.ID(), server.Addrs()); err != nil {
				t.Fatal(err)
			}
			for range 40 {
				all.Go(func() { who.AskLedger(ctx, server.ID(), AskSubmit, make([]byte, 200<<10)) })
			}
		}
		time.Sleep(3 * time.Second)
		s := server.admission.submits
		s.mu.Lock()
		waiting, bytes := s.has, s.held
		s.mu.Unlock()
		if bytes > maxSubmitBytes || waiting == 0 {
			t.Errorf("%d transactions wait, with %d bytes", waiting, bytes)
		}
		client := newHost(t, 500, "net")
		if err := client.Connect(ctx, server.ID(), server.Addrs()); err != nil {
			t.Fatal(err)
		}
		if _, err := client.AskLedger(ctx, server.ID(), AskStatus, nil); err != nil {
			t.Errorf("a question: %v", err)
		}
		sent := make(chan error, 1)
		all.Go(func() {
			_, err := client.AskLedger(ctx, server.ID(), AskSubmit, make([]byte, 300))
			sent <- err
		})
		select {
		case err := <-sent:
			t.Errorf("an honest transaction does not wait: %v", err)
		case <-time.After(time.Second):
		}
	})
}

// Connections that just stay make room for a newcomer.
func TestConnectionsThatStayShutNoNewcomerOut(t *testing.T) {
	virtual(t, func(t *testing.T) {
		r := wariRig(t, 1)
		if _, _, err := r.upload(t); err != nil {
			t.Fatal(err)
		}
		r.server.admission.conns.places.most = 20 // as if it had been 512, and 500 more strangers
		for i := range 60 {
			who := strange(t, i)
			if err := who.Connect(within(t), r.server.ID(), r.server.Addrs()); err != nil && i < 10 {
				t.Fatal(err)
			}
		}
		time.Sleep(connPatience + 500*time.Millisecond)
		for i := range 5 {
			r.client = newHost(t, 600+i, "net")
			if err := r.read(t); err != nil {
				t.Errorf("60 connections that stay: a reader is told: %v", err)
			}
		}
	})
}

// Streams that say nothing at all lose their places in time, in every protocol.
func TestFirstBytesAreDueWithinSeconds(t *testing.T) {
	virtual(t, func(t *testing.T) {
		server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
		server.ServeFragments(&shelf{held: map[blob.Position][]byte{}})
		server.ServeLedger(gigantic{})
		server.ServeDialback()
		connect(t, client, server)
		began := time.Now()
		for _, id := range allProtocols {
			if id == ProofProtocol {
				continue // has its own limit
			}
			s, err := client.libp2p.NewStream(within(t), server.ID(), id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
			defer s.Reset()
			until(t, "the stream of "+string(id)+" is there", func() bool { return standing(server.admission.of(id)) > 0 })
		}
		for _, id := range allProtocols {
			for {
				n := standing(server.admission.of(id))
				if n == 0 {
					break
				}
				if time.Since(began) > 3*firstLimit {
					t.Errorf("%s: %d silent streams stand after %s", id, n, time.Since(began))
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	})
}

func standing(p *places) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
