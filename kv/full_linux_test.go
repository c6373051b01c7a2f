package kv

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A database that is closed on a full file system waits for room, since what it writes
// out goes through a mapping; hurried it leaves all as after a crash, and nothing is lost.
func TestCloseWaitsForRoomOrLosesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small file system to fill")
	}
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=400m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	hurry := make(chan struct{})
	o := Options{Dir: filepath.Join(disk, "db"), Profile: Small, ReserveFree: 64 << 20, Hurry: hurry}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	b := db.Batch()
	b.Set([]byte("k"), []byte("v"))
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for piece := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(piece)
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	b.Set([]byte("k2"), []byte("v2"))
	if err := b.Commit(true); !errors.Is(err, ErrFull) {
		t.Errorf("a commit on a full file system: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- db.Close() }()
	select {
	case err := <-done:
		t.Fatalf("closed on a full file system: %v", err)
	case <-time.After(300 * time.Millisecond): // it would have been closed by then
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if db, err = Open(o); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := db.Get([]byte("k")); string(v) != "v" || !ok || err != nil {
		t.Errorf("%q %v %v", v, ok, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// The words of the library say whether a disk is full or fails.
func TestAFullDiskIsToldFromOneThatFails(t *testing.T) {
	for text, full := range map[string]bool{
		"while flushing memtable: no space left on device": true, "sync: disk quota exceeded": true,
		"sync: input/output error": false, "read-only file system": false,
	} {
		w := newWatch(slog.New(slog.DiscardHandler))
		w.Errorf("%s", text)
		if err := w.err(); !errors.Is(err, ErrFailing) || errors.Is(err, ErrFull) != full {
			t.Errorf("%q: %v", text, err)
		}
	}
}
