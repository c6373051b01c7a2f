//go:build unix && !linux

package node

import (
	"os"
	"syscall"
)

// forget cannot make this system read again from the disk: what is measured is at best
// what memory gives.
func forget(f *os.File) error { return f.Sync() }

// oddFileSystem is not known on this system.
func oddFileSystem(string) string { return "" }

// freeBytes is what the file system of dir has for this user.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
