package kv

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// flip changes a byte of the file where marker stands, plus offset.
func flip(t testing.TB, dir, pattern string, marker []byte, offset int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, marker); i >= 0 {
			b[i+offset] ^= 0x40
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no %s in %s has the marker", pattern, dir)
}

// Badger would stop rewriting a log at the damage and remove the rest with it.
func TestCollectingADamagedLogLosesOnlyWhatIsDamaged(t *testing.T) {
	const n, size, keepEvery = 300, 64 << 10, 3
	for name, offset := range map[string]int{"a value": 100, "a length": -14} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db, err := Open(Options{Dir: dir, Profile: Large})
			if err != nil {
				t.Fatal(err)
			}
			fillValues(t, db, n, size)
			deleteValues(t, db, n, keepEvery)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			const hurt = 30
			flip(t, dir, "*.vlog", randomValue(hurt, size)[:64], offset)
			db = openAt(t, dir, Large)
			for range 2 {
				if _, err := db.Collect(context.Background()); err != nil {
					t.Fatal(err)
				}
				for i := 0; i < n; i += keepEvery {
					v, ok, err := db.Get(itemKey(i))
					if i == hurt {
						if offset > 0 && !errors.Is(err, ErrLost) {
							t.Errorf("the damaged value: there %v, error %v", ok, err)
						}
						continue
					}
					if err != nil || !ok || !bytes.Equal(v, randomValue(uint64(i), size)) {
						t.Fatalf("key %d: there %v, %d bytes, error %v", i, ok, len(v), err)
					}
				}
			}
		})
	}
}

func FuzzReadLogEntry(f *testing.F) {
	dir := f.TempDir()
	db, err := Open(Options{Dir: dir, Profile: Large})
	if err != nil {
		f.Fatal(err)
	}
	fillValues(f, db, 3, 300)
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.vlog"))
	slices.Sort(logs)
	b, err := os.ReadFile(logs[0])
	if err != nil || firstDamage(b) != len(b) || len(b) < 900 {
		f.Fatalf("a log of Badger's reads otherwise: %d of %d, %v", firstDamage(b), len(b), err)
	}
	f.Add(b[logHeader:])
	f.Add([]byte{0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}) // a value of 2^64-1
	f.Fuzz(func(t *testing.T, b []byte) {
		key, value, n := readLogEntry(b)
		if n < 0 || n > len(b) || len(key)+len(value) > n {
			t.Errorf("entry of %d bytes in %d: key %d, value %d", n, len(b), len(key), len(value))
		}
	})
}
