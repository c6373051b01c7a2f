package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
)

// commandsOf are the blocks of a page that are typed into a shell.
func commandsOf(t *testing.T, page string) string {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	typed := false
	for line := range strings.Lines(string(raw)) {
		switch {
		case strings.HasPrefix(line, "```"):
			typed = strings.TrimSpace(line) == "```sh"
		case typed && !strings.HasPrefix(line, "go build"): // the test is the program
			out.WriteString(line)
		}
	}
	return out.String()
}

// Every command of the tutorial does what the page says, in its order, in an empty directory.
func TestTheTutorial(t *testing.T) {
	testlevel.Whole(t, "types the tutorial on a network of seven nodes, two epochs long")
	program(t, "curl")
	home(t)
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "walrus"))
	}
	if err != nil {
		t.Fatal(err)
	}
	const limit = 15 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", commandsOf(t, "../../doc/tutorial.md"))
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.CombinedOutput()
	t.Cleanup(func() { walrus(t, "testnet", "down", "--wipe", "--dir", filepath.Join(dir, "try")) }) // where it ended early
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	slashed, err := os.ReadFile(filepath.Join(dir, "slash.txt"))
	if err != nil || !strings.Contains(string(slashed), "judged") {
		t.Errorf("the silent node was not slashed: %v\n%s", err, slashed)
	}
}
