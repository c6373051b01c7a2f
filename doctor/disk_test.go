package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/walrus-network/walrus/node"
)

// slow is a disk that waits before each fsync.
type slow struct {
	scratchFile
	sync   time.Duration
	syncs  int
	forgot bool
}

func (s *slow) Sync() error {
	s.syncs++
	<-time.After(s.sync)
	return s.scratchFile.Sync()
}

func (s *slow) Forget() error { s.forgot = true; return s.scratchFile.Forget() }

func (s *slow) ReadAt(b []byte, at int64) (int, error) {
	if !s.forgot {
		return 0, errors.New("read from memory")
	}
	return s.scratchFile.ReadAt(b, at)
}

func TestASlowDiskIsNoticed(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &slow{scratchFile: scratchFile{f}, sync: syncDoubt + time.Millisecond}
	d, err := measureDisk(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if c := judgeDisk(d); c.Health == Healthy || d.WorstSync < d.Sync || d.Write <= 0 || d.Read <= 0 || s.syncs < 2 {
		t.Errorf("%+v after %d syncs: %+v", d, s.syncs, c)
	}
}

func TestADiskIsMeasuredAndLeftAsItWas(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, node.FragmentsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if d, err := MeasureDisk(t.Context(), dir); err != nil || d.Sync <= 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, node.FragmentsDir)); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if _, err := MeasureDisk(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

func TestARepetitionEndsWithItsTimeOrItsNumber(t *testing.T) {
	for limit, want := range map[time.Duration]int{0: 1, time.Hour: 5} {
		next := 0
		took, err := repeat(t.Context(), 5, limit, func(i int) error {
			if i != next {
				t.Errorf("call %d has the number %d", next, i)
			}
			next++
			return nil
		})
		if err != nil || next != want || len(took) != want {
			t.Errorf("within %s: %d calls, %d times, %v; want %d", limit, next, len(took), err, want)
		}
	}
	broken, calls := errors.New("broken"), 0
	if _, err := repeat(t.Context(), 5, time.Hour, func(int) error { calls++; return broken }); !errors.Is(err, broken) || calls != 1 {
		t.Errorf("%d calls, %v: it ends with the first error", calls, err)
	}
}
