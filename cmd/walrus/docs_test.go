package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command and flag that a page shows exists: a reader who types a line of a page
// must not get a usage error.
func TestThePagesShowCommandsThatAreThere(t *testing.T) {
	pages, err := filepath.Glob("../../doc/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	pages = append(pages, "../../deploy/README.md", "../../deploy/walrus.service", "../../deploy/compose.yaml", "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md")
	line := regexp.MustCompile("(?m)(?:(?:^\\$ |^\\./|^|`|\\./|bin/|exec node )walrus |run --rm node |^ +command: )([a-z][^\n`|]*)")
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(strings.Split(strings.Split(m[1], " #")[0], "   ")[0])
			if !command.MatchString(words[0]) || words[0] == "completion" {
				continue // prose; cobra makes completions itself
			}
			seen++
			root := (&app{streams: streams{out: io.Discard, err: io.Discard}}).root()
			found, rest, err := root.Find(words)
			if err != nil || found == root {
				t.Errorf("%s: there is no command %q", page, m[1])
				continue
			}
			checkFlags(t, page, found, rest)
		}
	}
	if seen < 60 {
		t.Errorf("%d commands were found in the pages: the test is too thin", seen)
	}
}

// command is the first word of a command line, other than one of a sentence.
var command = regexp.MustCompile(`^[a-z]+[0-9]?$`)

func checkFlags(t *testing.T, page string, found *cobra.Command, rest []string) {
	t.Helper()
	for _, w := range rest {
		name, isFlag := strings.CutPrefix(strings.TrimRight(strings.Split(w, "=")[0], ".,:;)]"), "--")
		if !isFlag || name == "" || name == "help" {
			continue
		}
		if found.Flag(name) == nil && found.InheritedFlags().Lookup(name) == nil {
			t.Errorf("%s: %s has no flag --%s", page, found.CommandPath(), name)
		}
	}
}
