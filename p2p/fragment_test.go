package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// shelf keeps whatever it is given, unverified: the protocol is under test here.
type shelf struct {
	mu     sync.Mutex // guards held
	held   map[blob.Position][]byte
	refuse error // after the first stripe
}

func (s *shelf) Receive(_ context.Context, _ peer.ID, in *Upload) (Confirmation, error) {
	id := in.Manifest().ID()
	err := in.Want(func(stripe uint32) bool {
		_, err := s.get(blob.Position{Blob: id, Stripe: stripe, Place: in.Places()[0]})
		return err != nil
	})
	for err == nil {
		var st IncomingStripe
		if st, err = in.Next(); err != nil {
			break
		}
		s.mu.Lock()
		for i, p := range in.Places() {
			s.held[blob.Position{Blob: id, Stripe: st.Stripe, Place: p, Axis: blob.Row}] = st.Rows[i]
			s.held[blob.Position{Blob: id, Stripe: st.Stripe, Place: p, Axis: blob.Column}] = st.Cols[i]
		}
		s.mu.Unlock()
		if s.refuse != nil {
			return Confirmation{}, s.refuse
		}
	}
	if err != io.EOF {
		return Confirmation{}, err
	}
	return Confirmation{Epoch: 7}, nil
}

func (s *shelf) get(at blob.Position) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.held[at]; ok {
		return b, nil
	}
	return nil, ErrNotHeld
}

func (s *shelf) Fragment(_ context.Context, at blob.Position) ([]byte, []byte, error) {
	b, err := s.get(at)
	if err != nil {
		return nil, nil, err
	}
	return b, []byte("witness"), nil
}

func (s *shelf) Symbols(_ context.Context, at blob.Position, indices []int, proven bool) (Symbols, error) {
	b, err := s.get(at)
	if err != nil {
		return Symbols{}, err
	}
	var out []byte
	for _, j := range indices {
		out = append(out, b[j])
	}
	return Symbols{Data: out}, nil
}

func (s *shelf) Witness(_ context.Context, id blob.ID, stripe uint32, p blob.Place) ([]byte, error) {
	if _, err := s.get(blob.Position{Blob: id, Stripe: stripe, Place: p}); err != nil {
		return nil, err
	}
	return []byte("w"), nil
}

type rig struct {
	keeper *shelf
	client *Host
	server *Host
	layout blob.Layout
	m      blob.Manifest
}

func newRig(t *testing.T, stripes int64) *rig {
	t.Helper()
	shape, err := blob.NewShape(4)
	if err != nil {
		t.Fatal(err)
	}
	full := int64(shape.K1*shape.K2) * int64(shape.MaxSymbol())
	l, err := shape.Layout(full*(stripes-1) + 1)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{keeper: &shelf{held: map[blob.Position][]byte{}}, layout: l, m: blob.NewManifest(l, blob.Hash{1}),
		server: newHost(t, 1, "net"), client: newHost(t, 2, "net")}
	r.server.ServeFragments(r.keeper)
	return r
}

func (r *rig) link(t *testing.T) *Link {
	t.Helper()
	l, err := r.client.Fragments(within(t), r.server.ID(), r.server.Addrs())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// line is a line for questions; got counts the bytes that come over it.
func (r *rig) line(t *testing.T) (l *FragmentLine, got *atomic.Int64) {
	t.Helper()
	got = new(atomic.Int64)
	l, err := r.client.FragmentLine(within(t), r.server.ID(), r.server.Addrs(), got)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.End)
	return l, got
}

func (r *rig) fragment(stripe uint32, axis blob.Axis) func(blob.Place) []byte {
	return func(p blob.Place) []byte {
		return bytes.Repeat([]byte{byte(stripe), byte(p), byte(axis)}, r.layout.FragmentBytes(int(stripe), axis))[:r.layout.FragmentBytes(int(stripe), axis)]
	}
}

func (r *rig) upload(t *testing.T) (sent int, c Confirmation, err error) {
	t.Helper()
	link := r.link(t)
	defer func() { link.Close(err) }()
	out, err := link.Offer(r.m, []blob.Place{0, 2})
	if err != nil {
		return 0, c, err
	}
	for i := range uint32(r.layout.Stripes) {
		if !out.Wants(i) {
			continue
		}
		if err := out.Send(i, make(blob.RootList, r.layout.N), nil, r.fragment(i, blob.Row), r.fragment(i, blob.Column)); err != nil {
			return sent, c, err
		}
		sent++
	}
	c, err = out.Finish()
	return sent, c, err
}

func TestUploadComesBackAndIsNotSentTwice(t *testing.T) {
	r := newRig(t, 5)
	sent, c, err := r.upload(t)
	if err != nil || c.Epoch != 7 || sent != 5 {
		t.Fatalf("sent %d: %+v, %v", sent, c, err)
	}
	if sent, _, err := r.upload(t); err != nil || sent != 0 {
		t.Errorf("second upload sent %d stripes, %v", sent, err)
	}
	line, _ := r.line(t)
	got := 0
	err = line.Pieces(within(t), r.m.ID(), blob.Row, []blob.Place{2, 1}, 0, 5, 1<<20, func(p Piece) error {
		if held := len(p.Witness) > 0; held != (p.Place == 2) {
			t.Errorf("place %d held: %v", p.Place, held)
		}
		if p.Place == 2 {
			got++
			if !bytes.Equal(p.Data, r.fragment(p.Stripe, blob.Row)(2)) {
				t.Errorf("stripe %d: wrong bytes", p.Stripe)
			}
		}
		return nil
	})
	if err != nil || got != 5 {
		t.Errorf("got %d, %v", got, err)
	}
	// The same stream serves the next requests.
	err = line.Symbols(within(t), r.m.ID(), blob.Column, []blob.Place{0}, []int{0, 1}, 1, 3, 1, false, func(_ blob.Place, got Symbols) error {
		if len(got.Data) != 2 {
			t.Errorf("stripe %d: %d bytes", got.Stripe, len(got.Data))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := line.Witnesses(within(t), r.m.ID(), []blob.Place{0}, 0, 5, func(Piece) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestRefusalHalfWayIsHeardInWords(t *testing.T) {
	r := newRig(t, 200)
	r.keeper.refuse = Refuse(CodeBusy, "the disk is full")
	sent, _, err := r.upload(t)
	if !IsRefusal(err, CodeBusy) {
		t.Fatalf("got %v", err)
	}
	if sent == r.layout.Stripes {
		t.Error("sent everything to a node that refused at once")
	}
}

func TestOverlongAnswersAreRefused(t *testing.T) {
	r := newRig(t, 2)
	if _, _, err := r.upload(t); err != nil {
		t.Fatal(err)
	}
	line, _ := r.line(t)
	err := line.Pieces(within(t), r.m.ID(), blob.Row, []blob.Place{0}, 0, 1, 10, func(Piece) error { return nil })
	if err == nil {
		t.Error("a fragment longer than its limit was taken")
	}
}

// A hostile client: whatever it sends, the server answers or hangs up, and serves the next one.
func TestGarbageDoesNotDisturbOthers(t *testing.T) {
	r := newRig(t, 2)
	ctx := within(t)
	huge := binary.BigEndian.AppendUint32([]byte{byte(kindOffer)}, 1<<31)
	offer := func(o Offer) []byte {
		b := canon.Encode(o)
		return append(binary.BigEndian.AppendUint32([]byte{byte(kindOffer)}, uint32(len(b))), b...)
	}
	get := func(k kind, v any) []byte {
		b := canon.Encode(v)
		return append(binary.BigEndian.AppendUint32([]byte{byte(k)}, uint32(len(b))), b...)
	}
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"half a head":     {1, 0},
		"huge frame":      huge,
		"unknown kind":    {99, 0, 0, 0, 0},
		"not CBOR":        {1, 0, 0, 0, 2, 0xff, 0xff},
		"no places":       offer(Offer{Manifest: r.m.Encode()}),
		"place twice":     offer(Offer{Manifest: r.m.Encode(), Places: []blob.Place{1, 1}}),
		"place beyond":    offer(Offer{Manifest: r.m.Encode(), Places: []blob.Place{4}}),
		"no manifest":     offer(Offer{Manifest: []byte{1}, Places: []blob.Place{1}}),
		"endless range":   get(kindGetFragments, getFragments{Places: []blob.Place{0}, To: 1 << 31}),
		"reversed range":  get(kindGetSymbols, getSymbols{Indices: []uint16{0}, From: 3, To: 1}),
		"no small places": get(kindGetSmall, getSmall{}),
		"no manifests":    get(kindGetSmall, getSmall{Places: []blob.Place{0}}), // of a keeper that has none
		"symbol 60000":    get(kindGetSymbols, getSymbols{Indices: []uint16{60000}, To: 1}),
	} {
		s, err := r.client.open(ctx, r.server.ID(), r.server.Addrs(), FragmentProtocol)
		if err != nil {
			t.Fatal(name, err)
		}
		s.stream.Write(b)
		s.stream.CloseWrite()
		if k, _, err := s.receive(idleLimit); err == nil {
			t.Errorf("%s was answered with %d", name, k)
		}
		s.close(errors.New("done"))
	}
	if _, _, err := r.upload(t); err != nil {
		t.Error(err)
	}
}

func FuzzFragmentRequests(f *testing.F) {
	f.Add(canon.Encode(Offer{Manifest: []byte{1}, Places: []blob.Place{1}}))
	f.Add(canon.Encode(getFragments{Places: []blob.Place{0}, To: 1}))
	f.Add(canon.Encode(getSymbols{Indices: []uint16{0}, To: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, err := readOffer(nil, b); err == nil && len(u.places) > u.layout.N {
			t.Fatal("more places than there are")
		}
		for _, v := range []any{new(getFragments), new(getSymbols), new(getWitnesses), new(fragmentFrame), new(symbolsFrame), new(stripeFrame), new(lackingStripes), new(Confirmation), new(Refusal), new(Hello), new(askFrame), new(copyFrame)} {
			if canon.Decode(b, v) == nil && !bytes.Equal(canon.Encode(v), b) {
				t.Fatalf("%T: two spellings", v)
			}
		}
	})
}
