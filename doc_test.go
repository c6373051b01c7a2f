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

// Every example of bytes in the formats' page stands in a golden file: a hash there that
// nobody computes would lead a second implementation astray. What is cut with … must
// stand there with both its ends.
func TestExamplesOfBytesStandInGoldenFiles(t *testing.T) {
	var golden strings.Builder
	files, err := filepath.Glob("*/testdata/*.txt")
	deeper, err2 := filepath.Glob("*/*/testdata/*.txt")
	if err != nil || err2 != nil || len(files) == 0 || len(deeper) == 0 {
		t.Fatal(files, deeper, err, err2)
	}
	for _, f := range append(append(files, deeper...), "p2p/messageid_test.go") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		golden.Write(b)
	}
	page, err := os.ReadFile("doc/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	bytesOf := regexp.MustCompile(`\b([0-9a-f]{8,})(…([0-9a-f]{8,})?)?`)
	digits, seen := regexp.MustCompile(`[0-9]`), 0
	for i, line := range strings.Split(string(page), "\n") {
		for _, m := range bytesOf.FindAllStringSubmatch(line, -1) {
			if !digits.MatchString(m[1]) {
				continue // a word
			}
			seen++
			pattern := m[1]
			if m[2] != "" {
				pattern += `[0-9a-f]*` + m[3]
			}
			if !regexp.MustCompile(pattern).MatchString(golden.String()) {
				t.Errorf("doc/formats.md line %d: %s stands in no golden file", i+1, m[0])
			}
		}
	}
	if seen < 15 {
		t.Errorf("%d examples were found: the test is too thin", seen)
	}
}

// The page of formats has every refusal of the ledger, with its number and text.
func TestThePageOfFormatsHasAllRefusals(t *testing.T) {
	codes, err := os.ReadFile("ledger/codes.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("doc/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`= &Refusal\{(\d+), "([^"]+)"\}`).FindAllStringSubmatch(string(codes), -1)
	if len(all) < 30 {
		t.Fatalf("%d refusals: the test is too thin", len(all))
	}
	for _, r := range all {
		if row := "| " + r[1] + " | " + r[2] + " |"; !strings.Contains(string(page), row) {
			t.Errorf("doc/formats.md has no row %q", row)
		}
	}
}
