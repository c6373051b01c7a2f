package walrus

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The docs name tests and pages as proof of what they say: all of them are there.
func TestWhatTheDocsNameIsThere(t *testing.T) {
	files, err := exec.Command("git", "ls-files", "*.go", "*.md").Output()
	if err != nil {
		t.Skip("no git: ", err)
	}
	var tests strings.Builder
	pages := map[string][]byte{}
	for _, file := range strings.Fields(string(files)) {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // deleted, and not committed yet
		}
		if strings.HasSuffix(file, ".md") {
			pages[file] = b
		} else if strings.HasSuffix(file, "_test.go") {
			tests.Write(b)
		}
	}
	for page, b := range pages {
		for _, name := range regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z][A-Za-z0-9]+`).FindAllString(string(b), -1) {
			if !strings.Contains(tests.String(), "func "+name+"(") {
				t.Errorf("%s: there is no %s", page, name)
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: link to %s: %v", page, link[1], err)
			}
		}
	}
}
