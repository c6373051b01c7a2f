package p2p

import (
	"context"
	"errors"
	"strings"
	"testing"

	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
)

// hostileWords holds one of each kind of what a terminal obeys or what makes one text
// look like another.
var hostileWords = []string{
	"\x1b]0;owned\x07", "\x1b[2J\x1b[1;1H", "\u009b2J", "\u0085next", "line\r\nwalrus: stored", "\u2028x\u2029", "\x00\x7f\u0080\u009f",
	"\u202a\u202b\u202c\u202d\u202eexe.gpj", "\u2066\u2067\u2068\u2069", "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u061c", "\U000e0001\U000e0041", "\ufe0f\U000e0100",
	"\ue000\U000f0000", "\u3164\u115f\u2800", "\xff\xfe\xc0\x80\xed\xa0\x80", "plain \t text", "žluťoučký kůň 漢字",
}

func isShowable(t *testing.T, what, words string) {
	t.Helper()
	if !utf8.ValidString(words) {
		t.Errorf("%s: %q is no text", what, words)
	}
	for _, r := range words {
		if !unicode.IsPrint(r) {
			t.Errorf("%s: %q in %q", what, r, words)
		}
	}
}

func TestCleanWordsShowAsThemselves(t *testing.T) {
	for _, w := range hostileWords {
		got := Clean("a"+w+"z", MaxWords)
		isShowable(t, "clean", got)
		if !strings.HasPrefix(got, "a") || !strings.HasSuffix(got, "z") {
			t.Errorf("%q became %q", w, got)
		}
		if again := Clean(got, MaxWords); again != got {
			t.Errorf("cleaned twice, %q is %q", got, again)
		}
	}
	if got := Clean("one\ntwo\u2028three", MaxWords); got != "one two three" {
		t.Errorf("%q", got)
	}
	if got := Clean("漢字 kůň", MaxWords); got != "漢字 kůň" {
		t.Errorf("%q", got)
	}
	if got := Clean(strings.Repeat("漢", 1000), 100); len(got) > 100 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzClean(f *testing.F) {
	for _, w := range hostileWords {
		f.Add(w, 100)
	}
	f.Fuzz(func(t *testing.T, w string, most int) {
		got := Clean(w, most)
		if len(got) > max(most, 0) {
			t.Errorf("%d bytes, at most %d", len(got), most)
		}
		isShowable(t, "clean", got)
		if Clean(got, most) != got {
			t.Error("cleaned twice is another text")
		}
	})
}

// A peer that says whatever it likes is heard in clean words, whichever way they come.
func TestNoWordsOfAPeerArriveRaw(t *testing.T) {
	all := strings.ToValidUTF8(strings.Join(hostileWords, ""), "") // the encoding refuses what is no text
	isShowable(t, "a refusal that is made", Refuse(CodeBusy, "%s", all).Error())

	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.hello.Version, server.hello.Ledger = hostileWords[0]+hostileWords[2]+hostileWords[7], "\x1b[2J\u202e127.0.0.1:1"
	for id, words := range map[string]func(*session) error{
		"refusal":  func(s *session) error { return s.send(kindRefusal, Refusal{Code: CodeBusy, Text: all}) },
		"question": func(s *session) error { return s.send(kindNo, noFrame{Refusal: Refusal{Code: CodeBusy, Text: all}}) },
	} {
		server.serve(LedgerProtocol, func(_ context.Context, s *session) error {
			if _, _, err := s.receive(idleLimit); err != nil {
				return err
			}
			return errors.Join(words(s), s.flush())
		})
		connect(t, client, server)
		_, err := client.AskLedger(within(t), server.ID(), AskStatus, nil)
		if err == nil {
			t.Fatalf("%s: no error", id)
		}
		isShowable(t, id, err.Error())
		client.lines.peers = map[peer.ID]*line{}
	}
	isShowable(t, "version", client.Peers()[server.ID()].Version)
	isShowable(t, "ledger address", client.Peers()[server.ID()].Ledger)
	d := dialMeAnswer{Seen: []AddressReport{{Reach: NotReached, Text: all}}}
	if err := d.check(1); err != nil {
		t.Fatal(err)
	}
	isShowable(t, "dialed", d.Seen[0].Text)
}

func FuzzRefusalFrame(f *testing.F) {
	f.Add(canon.Encode(Refusal{Code: CodeBusy, Text: "later"}))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Refusal
		if canon.Decode(body, &r) == nil {
			isShowable(t, "refusal", r.cleaned().Error())
		}
	})
}

func FuzzLedgerFrames(f *testing.F) {
	f.Add(canon.Encode(askFrame{Number: 1, Ask: AskGet, Body: []byte{1}}))
	f.Add(canon.Encode(answerFrame{Number: 1, Body: []byte{1}}))
	f.Add(canon.Encode(noFrame{Number: 1, Refusal: Refusal{Text: "no"}}))
	f.Add(canon.Encode(Hello{Chain: "net", Version: "1"}))
	f.Fuzz(func(t *testing.T, body []byte) {
		var q askFrame
		_ = canon.Decode(body, &q)
		for _, k := range []kind{kindAnswer, kindNo, 9} {
			if _, a, err := decodeAnswer(k, body); err == nil && a.err != nil {
				isShowable(t, "answer", a.err.Error())
			}
		}
		var h Hello
		if canon.Decode(body, &h) == nil {
			h = h.cleaned()
			isShowable(t, "hello", h.Version+h.Ledger+h.Chain)
		}
	})
}
