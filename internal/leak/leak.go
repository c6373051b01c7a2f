// Package leak finds goroutines that go on after the tests that started them: for tests alone.
//
// The promise: a goroutine that is about to end is no leak, however busy the machine is.
package leak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// limit is how long goroutines may take to end. goleak alone gives them half a second.
const limit = 30 * time.Second

// Main runs the tests of a package, and fails them where goroutines go on that except does not
// name. TestMain calls it.
func Main(m *testing.M, except ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := find(limit, except...); err != nil {
			fmt.Fprintln(os.Stderr, "The tests passed, but", err)
			code = 1
		}
	}
	os.Exit(code)
}

// None fails a test where goroutines go on that except does not name.
func None(t testing.TB, except ...goleak.Option) {
	t.Helper()
	if err := find(limit, except...); err != nil {
		t.Error(err)
	}
}

// find waits for the goroutines to end.
func find(limit time.Duration, except ...goleak.Option) (err error) {
	for end := time.Now().Add(limit); ; {
		if err = goleak.Find(except...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
