//go:build unix && !linux

package node

import "os"

// forget cannot make this system read again from the disk: what is measured is at best
// what memory gives.
func forget(f *os.File) error { return f.Sync() }

// oddFileSystem is not known on this system.
func oddFileSystem(string) string { return "" }
