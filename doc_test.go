package walrus

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The docs name tests and pages as proof of what they say: all of them are there.
func TestWhatTheDocsNameIsThere(t *testing.T) {
	var tests strings.Builder
	pages := map[string][]byte{}
	err := filepath.WalkDir(".", func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		switch {
		case strings.HasSuffix(file, ".md"):
			pages[file], err = os.ReadFile(file)
		case strings.HasSuffix(file, "_test.go"):
			var b []byte
			b, err = os.ReadFile(file)
			tests.Write(b)
		}
		return err
	})
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
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
