package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// Names on the ledger are strangers' words: neither text nor JSON carries what a terminal
// obeys, and JSON loses nothing.
func TestNoOutputCarriesWhatATerminalObeys(t *testing.T) {
	name := "a\x1b]0;owned\x07\u009b2J\u202egnp.exe\u2066x\u200b\ufeff\U000e0041\u2028z"
	var out bytes.Buffer
	if err := encodeJSON(&out, map[string]string{"name": name}); err != nil {
		t.Fatal(err)
	}
	for _, r := range strings.TrimSuffix(out.String(), "\n") {
		if !unicode.IsPrint(r) {
			t.Errorf("%q in %q", r, out.String())
		}
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != name {
		t.Errorf("%q, %v", back["name"], err)
	}
	for _, r := range lines(name + "\nnext") {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q in a text", r)
		}
	}
	if got := lines("one: two\n  three"); got != "one: two\n  three" {
		t.Errorf("%q", got)
	}
}
