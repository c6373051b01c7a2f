//go:build unix && !linux

package doctor

import "os"

// forget cannot drop a file from the page cache of this system, so a measured read may
// come from memory.
func forget(f *os.File) error { return f.Sync() }

// oddFileSystem does not know the file systems of this system.
func oddFileSystem(string) string { return "" }
