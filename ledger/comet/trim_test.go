package comet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Of the consensus log stays what a start needs: the head, what was written since the last
// look, and the newest files before that. What is no file of the log stays too.
func TestOldFilesOfTheConsensusLogAreRemoved(t *testing.T) {
	began := time.Unix(1_000_000, 0)
	lay := func(files int) string {
		dir := t.TempDir()
		for i, name := range []string{logName, "other.000", logName + "s"} {
			at(t, filepath.Join(dir, name), began.Add(time.Duration(i)*time.Hour))
		}
		for i := range files {
			at(t, filepath.Join(dir, fmt.Sprintf("%s.%03d", logName, 998+i)), began.Add(time.Duration(i)*time.Minute))
		}
		return dir
	}
	for _, c := range []struct {
		files  int
		before time.Duration // from began
		stay   []string
	}{
		{0, time.Hour, nil},
		{2, time.Hour, []string{"wal.998", "wal.999"}},
		{6, time.Hour, []string{"wal.1002", "wal.1003"}},
		{6, 2 * time.Minute, []string{"wal.1000", "wal.1001", "wal.1002", "wal.1003"}},
		{6, 0, []string{"wal.1000", "wal.1001", "wal.1002", "wal.1003", "wal.998", "wal.999"}},
	} {
		dir := lay(c.files)
		if err := trimLog(dir, began.Add(c.before)); err != nil {
			t.Fatal(err)
		}
		var left []string
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			left = append(left, e.Name())
		}
		if want := append([]string{"other.000", "wal"}, append(c.stay, "wals")...); !slices.Equal(left, want) {
			t.Errorf("%d files, before %s: %v stay, want %v", c.files, c.before, left, want)
		}
	}
	if trimLog(filepath.Join(t.TempDir(), "none"), began) == nil {
		t.Error("a directory that is not there is no error")
	}
}

// at makes a file that was last written at a time.
func at(t *testing.T, path string, when time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte("log"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}
