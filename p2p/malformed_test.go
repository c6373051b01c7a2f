package p2p

import (
	"strings"
	"testing"

	"github.com/walrus-network/walrus/canon"
)

// A question that is not of the form is refused in words, and the stream goes on: whoever
// writes a second program learns what is wrong.
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
