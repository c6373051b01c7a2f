//go:build unix

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

var errHeld = errors.New("another process holds it")

// lockFile takes the lock on an open file. It belongs to the opening, not to the
// process: a child that inherits the file has it too.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

// isLocked says whether a process holds the lock on a file. Two that ask at once do not
// take each other for a node.
func isLocked(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// hasOpen says whether a process has the file open, as far as the system tells: a number
// that stands in a file may have been given to another process since.
func hasOpen(pid int, f *os.File) bool {
	want, err := f.Stat()
	if err != nil {
		return false
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range list {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && os.SameFile(info, want) {
			return true
		}
	}
	return false
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
