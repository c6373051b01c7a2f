package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/quilt"
)

// hyphenID is a blob's ID that begins with a hyphen in base64url.
var hyphenID = blob.ID{0: 0xf8, 1: 7}

// An ID may begin with a hyphen: every command that takes one must not read flags in it.
func TestAnIDThatBeginsWithAHyphenIsNoFlag(t *testing.T) {
	home(t)
	id := hyphenID.Base64()
	if !strings.HasPrefix(id, "-") {
		t.Fatal(id)
	}
	patch := quilt.PatchID{Quilt: hyphenID, Version: quilt.Version, End: 1}.String()
	for _, words := range []string{
		"read ID", "read ID/a/b.txt", "read PATCH", "read --range 0-5 ID", "read ID -o out", "status ID", "status --no-ask ID",
		"audit ID", "receipt ID -o out", "extend ID --epochs 3", "renew ID 5WAL", "delete ID", "delete ID ID", "list ID",
		"read -- ID", "status -- ID", "delete -- ID ID", "list -- ID", "read -- PATCH",
	} {
		args := strings.Fields(strings.NewReplacer("ID", id, "PATCH", patch).Replace(words))
		got := walrus(t, args...) // which has neither network nor wallet
		if got.code != exitFail || !strings.Contains(got.err, "--network") && !strings.Contains(got.err, "--wallet") {
			t.Errorf("walrus %s: exit %d: %s", words, got.code, got.err)
		}
	}
	// What only looks like one is told as it was typed.
	if got := walrus(t, "read", id[:42]); got.code != exitUsage || !strings.Contains(got.err, "flag") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	if got := walrus(t, "read", id, id); got.code != exitUsage || strings.Contains(got.err, `\x00`) {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	if got := walrus(t, id); got.code != exitUsage || strings.Contains(got.err, `\x00`) {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
}

func TestTheValueOfAFlagIsNotMarked(t *testing.T) {
	id := hyphenID.Base64()
	marked := hyphenMark + id
	for _, test := range []struct{ typed, want []string }{
		{[]string{"read", id}, []string{"read", marked}},
		{[]string{"read", "-o", id, id}, []string{"read", "-o", id, marked}},
		{[]string{"read", "--output", id, id}, []string{"read", "--output", id, marked}},
		{[]string{"read", "--output=x", id}, []string{"read", "--output=x", marked}},
		{[]string{"--json", "read", id}, []string{"--json", "read", marked}},
		{[]string{"--network", id, "read", id}, []string{"--network", id, "read", marked}},
		{[]string{"status", "--no-ask", id + "/x"}, []string{"status", "--no-ask", marked + "/x"}},
		{[]string{"read", "--", id}, []string{"read", "--", id}},
		{[]string{"read", id[:40]}, []string{"read", id[:40]}},
	} {
		a := &app{}
		if got := markHyphens(a.root(), test.typed); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q", test.typed, got)
		}
	}
}
