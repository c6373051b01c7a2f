// Package golden holds the code to the bytes it once wrote: for tests alone.
//
// The promise: a line of a golden file that changes is shown, with what was wanted;
// a file is written anew only when a person says -update, which is for a new version
// of a format.
package golden

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew: only for a new version of a format")

// Check compares text with testdata/name of the package under test.
func Check(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		x, y := lineOf(a, i), lineOf(b, i)
		if x != y {
			t.Fatalf("%s line %d:\ngot  %s\nwant %s", path, i+1, y, x)
		}
	}
}

func lineOf(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no such line)"
}

// File is a golden file that people read: one value a line, name, then hex or text.
type File struct {
	Name  string
	lines strings.Builder
}

// Add writes a line. Bytes are written in hex.
func (f *File) Add(name string, value any) {
	if b, ok := value.([]byte); ok {
		value = hex.EncodeToString(b)
	}
	fmt.Fprintf(&f.lines, "%s %v\n", name, value)
}

// Check compares what was added with the file.
func (f *File) Check(t testing.TB) {
	t.Helper()
	Check(t, f.Name, f.lines.String())
}

// Content is the deterministic content of golden blobs: byte i is i*i + i/251 + 7,
// truncated to eight bits.
func Content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i + i/251 + 7)
	}
	return b
}
