//go:build race

package p2p

// The race detector makes copying some ten times dearer.
const raceEnabled = true
