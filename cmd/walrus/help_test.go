package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Every line that --help prints fits a terminal of 80 columns, of every command.
func TestHelpFitsEightyColumns(t *testing.T) {
	home(t)
	ok(t, "--help") // cobra adds its own commands as it runs
	seen := 0
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		seen++
		text := ok(t, append(path, "--help")...)
		if !strings.Contains(text, "Usage:\n  walrus") || !strings.Contains(text, "Flags:\n") {
			t.Errorf("walrus %s --help says %q", strings.Join(path, " "), text)
		}
		for _, line := range strings.Split(text, "\n") {
			if n := utf8.RuneCountInString(line); n > helpWidth || strings.Contains(line, "%!") {
				t.Errorf("walrus %s --help: %d letters: %s", strings.Join(path, " "), n, line)
			}
		}
		for _, under := range c.Commands() {
			walk(under, append(path[:len(path):len(path)], under.Name()))
		}
	}
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	walk(root, nil)
	if seen < 50 {
		t.Errorf("%d commands: the test looks at too few", seen)
	}
}

func TestATextIsFilledByItsParagraphs(t *testing.T) {
	for text, want := range map[string]string{
		"one two three four": "one two\nthree\nfour\n",
		"one\ntwo\n\nthree":  "one two\n\nthree\n",
		"a:  b":              "a:  b\n",
		"  x    y z\nmore":   "  x    y\n       z\nmore\n",
		"    one two":        "    one\n    two\n",
		"unbreakable word":   "unbreakable\nword\n",
	} {
		if got := fill(text, 8); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
