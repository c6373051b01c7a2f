package kv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestADirectoryIsOpenOnce(t *testing.T) {
	dir := t.TempDir()
	db := openAt(t, dir, Small)
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, dir, Small)
}

func TestAFileIsNoDirectory(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: name}); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("open of a file: %v", err)
	}
	if _, err := Open(Options{Dir: filepath.Join(name, "below")}); err == nil {
		t.Error("opened below a file")
	}
}

// filled is the directory of a closed database with tables and value logs.
func filled(t testing.TB, p Profile) string {
	t.Helper()
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir, Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	fillValues(t, db, 50, 2000)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// reopen opens what was damaged and reads all of it: an error is fine, the end of
// the process is not. It reports how many values are there.
func reopen(t *testing.T, dir string, p Profile) (values int, err error) {
	t.Helper()
	db, err := Open(Options{Dir: dir, Profile: p})
	if err != nil {
		return 0, err
	}
	for i := range 50 {
		v, ok, err := db.Get(itemKey(i))
		if err == nil && ok && string(v) == string(randomValue(uint64(i), 2000)) {
			values++
		}
	}
	b := db.Batch()
	b.Set([]byte("new"), []byte("value"))
	if err := b.Commit(true); err != nil {
		t.Errorf("write after reopening: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close after reopening: %v", err)
	}
	return values, nil
}

func TestDamagedFilesAreErrorsNotPanics(t *testing.T) {
	if values, err := reopen(t, filled(t, Large), Large); values != 50 || err != nil {
		t.Fatalf("undamaged: %d values, %v", values, err)
	}
	for _, p := range []Profile{Small, Large} {
		for _, pattern := range []string{"*.sst", "*.vlog", "MANIFEST", "DISCARD", "KEYREGISTRY"} {
			for _, cut := range []int{0, 1, 7, 100, -1, -20} {
				t.Run(fmt.Sprintf("%s of %d cut to %d", pattern, p, cut), func(t *testing.T) {
					dir := filled(t, p)
					name := largest(t, dir, pattern)
					b, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					if cut < 0 {
						cut += len(b)
					}
					if cut > len(b) || cut < 0 {
						return
					}
					if err := os.Truncate(name, int64(cut)); err != nil {
						t.Fatal(err)
					}
					values, err := reopen(t, dir, p)
					if err != nil && !errors.Is(err, ErrCorrupt) {
						t.Errorf("error: %v", err)
					}
					if err == nil && values < 50 && (pattern == "*.sst" || pattern == "MANIFEST") {
						t.Errorf("opened, and only %d values are there", values)
					}
				})
			}
		}
	}
}

func largest(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return slices.MaxFunc(names, func(a, b string) int {
		x, _ := os.Stat(a)
		y, _ := os.Stat(b)
		return int(x.Size() - y.Size())
	})
}

func TestFlippedBytesInATableAreNoticed(t *testing.T) {
	dir := filled(t, Small)
	name := largest(t, dir, "*.sst")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(b) / 3, len(b) - 30, len(b) - 2} {
		hurt := slices.Clone(b)
		hurt[at] ^= 0x10
		if err := os.WriteFile(name, hurt, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(Options{Dir: dir})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		failed := 0
		for i := range 50 {
			v, ok, err := db.Get(itemKey(i))
			if err != nil {
				failed++
			} else if !ok || string(v) != string(randomValue(uint64(i), 2000)) {
				t.Errorf("byte %d: key %d reads wrong without an error", at, i)
			}
		}
		if failed == 0 {
			t.Errorf("byte %d: nothing was noticed", at)
		}
		db.Close()
	}
}

func TestForeignFiles(t *testing.T) {
	for name, fine := range map[string]bool{"notes.txt": true, "x.vlog": false, "abc.mem": false, "README": true, "00000.mem": true} {
		dir := filled(t, Large)
		if err := os.WriteFile(filepath.Join(dir, name), []byte{}, 0o600); err != nil {
			t.Fatal(err)
		}
		if !fine {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("garbage"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		values, err := reopen(t, dir, Large)
		if fine && (err != nil || values != 50) {
			t.Errorf("%s: %d values, %v", name, values, err)
		}
		if !fine && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := filled(t, Large)
	if err := os.Remove(filepath.Join(dir, "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, dir, Large); !errors.Is(err, ErrCorrupt) {
		t.Errorf("without MANIFEST: %v", err)
	}
	dir = filled(t, Large)
	os.Remove(filepath.Join(dir, "DISCARD"))
	if err := os.Mkdir(filepath.Join(dir, "DISCARD"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, dir, Large); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a directory for DISCARD: %v", err)
	}
}

// A file system that is full must be met by an error: the files are mapped, and
// what Badger does there is the end of the process.
func TestAFullFileSystemIsRefusedBeforeItIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128m"); err != nil {
		t.Skip("needs the right to mount a small file system: ", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	db, err := Open(Options{Dir: filepath.Join(dir, "db"), Profile: Large, ReserveFree: DefaultReserve / 4})
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for i := range 64 {
		b := db.Batch()
		for j := range 32 {
			b.Set(itemKey(i*32+j), randomValue(uint64(i*32+j), 64<<10))
		}
		if err = b.Commit(true); err != nil {
			break
		}
		kept += 32
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("after %d values: %v", kept, err)
	}
	for i := range kept {
		if _, ok, err := db.Get(itemKey(i)); !ok || err != nil {
			t.Fatalf("key %d: %v, %v", i, ok, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 60<<20), 0o600); err != nil {
		t.Log(err)
	}
	if _, err := Open(Options{Dir: filepath.Join(dir, "other")}); !errors.Is(err, ErrFull) {
		t.Errorf("open on a full file system: %v", err)
	}
}
