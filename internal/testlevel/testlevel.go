// Package testlevel says how many of the tests run: for tests alone.
//
// There are three levels. Short is `go test -short`: rules, formats, one host beside
// another. Middle is plain `go test`: besides, one test of each kind on real processes,
// and searches of seconds. Whole is WALRUS_TESTS=all: every scenario, and searches as
// long as they find something.
//
// The promise: a level runs all that the level before runs. Whole and Repeat stand in
// the body of a Test function, where .ci/run finds the tests that only the whole level
// runs to their end; a test at the root checks it.
//
// Left to others: CONTRIBUTING.md says what each level covers and how long it takes.
package testlevel

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// Variable is the environment variable that asks for the whole level, with the value "all".
const Variable = "WALRUS_TESTS"

// whole says whether all tests are asked for. -short is stronger: it is typed.
func whole() bool { return os.Getenv(Variable) == "all" && !testing.Short() }

// Middle skips a test or benchmark of the short level, and says what it would do.
func Middle(t testing.TB, does string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s: run it without -short", does)
	}
}

// Whole skips a test below the whole level, and says what it would do.
func Whole(t testing.TB, does string) {
	t.Helper()
	if !whole() {
		t.Skipf("%s: run it with %s=all", does, Variable)
	}
}

// Repeat is how often a search repeats its work, by level.
func Repeat(short, middle, all int) int {
	switch {
	case testing.Short():
		return short
	case whole():
		return all
	}
	return middle
}

// Beside lets up to n parallel tests of a package run beside each other, where they wait
// for most of their time; -parallel, if it is typed, is stronger. With the race detector
// tests compute instead, and run one after another; the whole level has larger networks,
// and runs as many as Go has it. TestMain calls Beside.
func Beside(n int) {
	const name = "test.parallel"
	flag.Parse()
	typed := false
	flag.Visit(func(f *flag.Flag) { typed = typed || f.Name == name })
	switch {
	case typed || whole() && !Race:
		return
	case Race:
		n = 1
	}
	if err := flag.Set(name, strconv.Itoa(n)); err != nil {
		panic(err) // the testing package has no such flag any more
	}
}
