package client

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAFileThatChangesIsSaidToChange(t *testing.T) {
	for name, change := range map[string]func(string) error{
		"appended": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
				f.Close()
			}
			return err
		},
		"truncated": func(p string) error { return os.Truncate(p, 3) },
		"rewritten": func(p string) error {
			return errors.Join(os.WriteFile(p, []byte("CONTENT"), 0o600), os.Chtimes(p, time.Now(), time.Now().Add(time.Hour)))
		},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := NewFileSource(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); !errors.Is(err, ErrFileChanged) || len(b) > 7 {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		r.Close()
	}
}

func TestAFileWithoutASizeIsNotStoredAsEmpty(t *testing.T) {
	const path = "/proc/self/status"
	if _, err := os.Stat(path); err != nil {
		t.Skip("no /proc here")
	}
	if _, err := NewFileSource(path); err == nil || !strings.Contains(err.Error(), "cat /proc/self/status | walrus store -") {
		t.Error(err)
	}
}

func TestASpoolHasNoNameAndIsReadTwice(t *testing.T) {
	dir := t.TempDir()
	s, remove, err := Spool(strings.NewReader("content"), dir)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v lie there", left)
	}
	for _, offset := range []int64{0, 3} {
		r, err := s.Open(offset)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); string(b) != "content"[offset:] || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}

// zeros is a stream without an end.
type zeros struct{ read int64 }

func (z *zeros) Read(p []byte) (int, error) { clear(p); z.read += int64(len(p)); return len(p), nil }

func TestASpoolStopsBeforeTheDiskIsFull(t *testing.T) {
	dir, z := t.TempDir(), &zeros{}
	const disk = 300 << 20
	s, err := newSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = s.take(z, func(string) (free, total int64, err error) { return disk - z.read, disk, nil }, nil)
	if !errors.Is(err, ErrRoom) || !strings.Contains(err.Error(), "MiB are free") {
		t.Error(err)
	}
	if free := disk - z.read; free < spoolReserve {
		t.Errorf("%d bytes are left", free)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v lie there", left)
	}
}
