//go:build race

package testlevel

// Race says whether the race detector runs: it makes all that computes about ten times slower.
const Race = true
