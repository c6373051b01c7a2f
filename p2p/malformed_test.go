package p2p

import (
	"context"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

// A question that is not of the form is refused in words, and the stream goes on: the
// author of a second program learns what is wrong.
func TestAMalformedQuestionIsRefusedInWords(t *testing.T) {
	r := newRig(t, 2)
	r.server.ServeLedger(echo{})
	client := newHost(t, 77, "net")
	if err := client.Connect(within(t), r.server.ID(), r.server.Addrs()); err != nil {
		t.Fatal(err)
	}
	s, err := client.open(within(t), r.server.ID(), r.server.Addrs(), LedgerProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close(nil)
	for _, bad := range []any{[]any{7, 1, []uint64{1}}, []any{7, 1}, "what is new?", []any{7, 1, "text"}} {
		if err := s.send(kindAsk, bad); err != nil {
			t.Fatal(err)
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		k, body, err := s.receive(idleLimit)
		if err != nil || k != kindNo {
			t.Fatalf("%v: %d, %v", bad, k, err)
		}
		var no noFrame
		if err := canon.Decode(body, &no); err != nil || no.Refusal.Code != CodeBadRequest || !strings.Contains(no.Refusal.Text, "byte string") {
			t.Errorf("%v: %+v, %v", bad, no, err)
		}
	}
	if err := s.send(kindAsk, askFrame{Number: 9, Ask: AskStatus, Body: []byte("well")}); err != nil {
		t.Fatal(err)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if k, _, err := s.receive(idleLimit); err != nil || k != kindAnswer {
		t.Errorf("an honest question after them: %d, %v", k, err)
	}
}

// A blob ID of 31 bytes is a wrong length, in the words of the wire.
func TestAShortIDIsToldAsSuch(t *testing.T) {
	short := canon.Encode([]any{make([]byte, 31), uint8(0), []uint16{1}, uint32(0), uint32(1)})
	var q getFragments
	err := canon.Decode(short, &q)
	if err == nil || strings.Contains(err.Error(), "getFragments") || !strings.Contains(err.Error(), "length") {
		t.Errorf("%v", err)
	}
}

// long is a keeper whose proven symbols have a length, and that counts its work.
type long struct {
	Keeper
	bytes int
	made  int
}

func (l *long) Symbols(_ context.Context, at blob.Position, indices []int, proven bool) (Symbols, error) {
	l.made += len(indices)
	s := Symbols{Stripe: at.Stripe}
	for range indices {
		s.Openings = append(s.Openings, make([]byte, l.bytes))
	}
	return s, nil
}

// More proven symbols than a frame holds are refused with the number that it holds, before
// they are proven.
func TestProvenSymbolsThatDoNotFitAreRefusedBeforeTheWork(t *testing.T) {
	for _, c := range []struct{ bytes, ask, made int }{{17_000, 15, 1}, {17_000, 14, 1}, {17_000, surelyProvable, 0}, {1000, 250, 1}, {1000, 300, 1}} {
		k := &long{bytes: c.bytes}
		q := getSymbols{To: 1, Proven: true}
		at := make([]int, c.ask)
		err := provable(t.Context(), k, q, at)
		fits := c.ask*(c.bytes+20)+100 < maxFrame
		if fits != (err == nil) || k.made != c.made || err != nil && !IsRefusal(err, CodeBadRequest) {
			t.Errorf("%+v: %v after %d", c, err, k.made)
		}
	}
}
