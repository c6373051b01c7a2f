package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/report"
)

func TestStrengthIsToldInOneSentence(t *testing.T) {
	s := strengthText{Blobs: 5000, Draws: 32, RoundSeconds: 3600, Span: "day", Rounds: 24, Caught: []report.Detection{{Lost: 0.01, Round: 0.275, Span: 0.99956}, {Lost: 0.05, Round: 0.806, Span: 1}, {Lost: 0.1, Round: 0.966, Span: 1}}}
	var out bytes.Buffer
	table := newTable(&out)
	s.rows(table)
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"strength  a node that lost 1 % is caught within a day with probability 99.96 %\n",
		"in one round of 1h: 1 %: 27 %, 5 %: 80 %, 10 %: 96 %\n",
		"in a day (24 rounds): 1 %: 99.96 %, 5 %: > 99.99 %, 10 %: > 99.99 %\n",
		"with 5000 blobs, of which a round draws 32 stripes\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("wider than a terminal: %s", line)
		}
	}
}

func TestOneIsNotMany(t *testing.T) {
	if some(1, "blob") != "1 blob" || some(0, "blob") != "0 blobs" || some(2, "stripe") != "2 stripes" {
		t.Error(some(1, "blob"), some(0, "blob"), some(2, "stripe"))
	}
}

func TestOddsAreNeverRoundedUpToCertain(t *testing.T) {
	for p, want := range map[float64]string{0: "0.0 %", 0.004: "0.4 %", 0.275: "27 %", 0.9899: "98 %", 0.99: "99.00 %", 0.99994: "99.99 %", 0.99999: "> 99.99 %", 1: "> 99.99 %"} {
		if got := odds(p); got != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
	}
	for s, want := range map[float64]string{20: "20s", 60: "1m", 90: "1m30s", 3600: "1h", 5400: "1h30m", 0.5: "500ms"} {
		if got := seconds(s); got != want {
			t.Errorf("%v s is %q, want %q", s, got, want)
		}
	}
}
