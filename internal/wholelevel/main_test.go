package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// laid is a directory with one test file.
func laid(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte("package x\n"+source), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatOnlyTheWholeLevelRunsIsFound(t *testing.T) {
	names, packages, err := find(laid(t, `
func TestLong(t *testing.T) { testlevel.Whole(t, "waits") }
func TestMore(t *testing.T) { t.Run("of", func(t *testing.T) { for range testlevel.Repeat(0, 2, 4) {} }) }
func TestAlike(t *testing.T) { for range testlevel.Repeat(1, 2, 2) {} }
func TestMiddle(t *testing.T) { testlevel.Middle(t, "waits") }
func TestPlain(t *testing.T) {}
`))
	if err != nil || !slices.Equal(names, []string{"TestLong", "TestMore"}) || len(packages) != 1 {
		t.Errorf("%v in %v, %v", names, packages, err)
	}
}

func TestALevelAskedForInAHelperIsRefused(t *testing.T) {
	for _, source := range []string{
		`func start(t *testing.T) { testlevel.Whole(t, "starts") }`,
		`var steps = testlevel.Repeat(1, 2, 3)`,
		`func BenchmarkLong(b *testing.B) { testlevel.Whole(b, "waits") }`,
	} {
		if _, _, err := find(laid(t, source)); err == nil || !strings.Contains(err.Error(), "body of a Test function") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// The tree itself can be read: .ci/run relies on it.
func TestTheTreeHasTestsOfTheWholeLevel(t *testing.T) {
	names, packages, err := find(filepath.Join("..", ".."))
	if err != nil || len(names) < 5 || len(packages) < 3 {
		t.Errorf("%v in %v, %v", names, packages, err)
	}
}
