package livefile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newFile is a file that says a word, which must not be "bad".
func newFile(t *testing.T, says string) (*File[string], func(string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write := func(says string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(says), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(says)
	return &File[string]{Path: path, Read: func() ([]byte, error) { return Bytes(16, path) }, Parse: func(b []byte) (string, error) {
		if string(b) == "bad" {
			return "half", errors.New("a mistake")
		}
		return string(b), nil
	}}, write
}

func TestAMistakeIsToldOnceAndChangesNothing(t *testing.T) {
	f, write := newFile(t, "one")
	now := time.Unix(0, 0)
	look := func(when, value string, changed, mistaken bool) {
		t.Helper()
		v, c, err := f.Look(now)
		if v != value || c != changed || (err != nil) != mistaken {
			t.Errorf("%s: %q, changed %t, %v", when, v, c, err)
		}
		if err != nil && !strings.Contains(err.Error(), f.Path) {
			t.Errorf("%s: the error does not name the file: %v", when, err)
		}
	}
	look("the first look", "one", true, false)
	look("nothing has changed", "", false, false)
	for when, breaks := range map[string]func(){
		"a mistake": func() { write("bad") },
		"too long":  func() { write(strings.Repeat("x", 17)) },
		"no file": func() {
			if err := os.Remove(f.Path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		breaks()
		look(when, "", false, true)
		look(when+" a moment later", "", false, false)
		now = now.Add(complains)
		look(when+" after a while", "", false, true)
		write("one")
		look(when+", then what it said before", "", false, false)
		breaks()
		look(when+" again", "", false, true)
		write("one")
		look("", "", false, false)
	}
	write("two")
	look("another value", "two", true, false)
}

func TestAnEmptyFileIsAValueToo(t *testing.T) {
	f, _ := newFile(t, "")
	if v, changed, err := f.Look(time.Now()); v != "" || !changed || err != nil {
		t.Errorf("%q, changed %t, %v", v, changed, err)
	}
	if _, changed, err := f.Look(time.Now()); changed || err != nil {
		t.Errorf("the same again: changed %t, %v", changed, err)
	}
}

func TestChangesAreTakenWhileItIsWatched(t *testing.T) {
	f, write := newFile(t, "one")
	if _, _, err := f.Look(time.Now()); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var taken []string
		mistakes := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Watch(ctx, func(v string) { taken = append(taken, v) }, func(error) { mistakes++ })
		}()
		step := func(says string) {
			write(says)
			time.Sleep(3 * every) // virtual
			synctest.Wait()
		}
		step("one")
		step("two")
		step("bad")
		step("three")
		stop()
		<-done
		if strings.Join(taken, " ") != "two three" || mistakes != 1 {
			t.Errorf("taken: %q, %d mistakes", taken, mistakes)
		}
	})
}
