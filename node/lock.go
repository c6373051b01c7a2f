package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// LockName is the file in a node's directory that its process holds locked for its
// whole life. It holds the process's number.
//
// The lock belongs to the file itself: whichever way its directory is spelled, linked,
// mounted or moved, a process that asks for the lock learns whether the node runs.
const LockName = "node.lock"

// lockVariable hands a lock that is held already to the process that is started: its
// value is the number of the file that it inherits. Between the two no moment is left
// in which the directory looks free.
const lockVariable = "WALRUS_NODE_LOCK"

// ErrRunning is returned where a process holds the directory of a node.
var ErrRunning = errors.New("a node runs here")

// Lock is the hold on a node's directory.
type Lock struct{ f *os.File }

// Hold takes the directory of a node for this process; it fails with ErrRunning where
// another one has it.
func Hold(dir string) (*Lock, error) { return HoldAs(dir, LockName) }

// HoldAs is Hold for a process that is no node, with a lock of its own name.
func HoldAs(dir, name string) (*Lock, error) {
	path := filepath.Join(dir, name)
	if l := inherited(path); l != nil {
		return l, l.Name(os.Getpid())
	}
	const tries = 10 // the file may be removed, with the directory, while it is opened
	for range tries {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock of the node: %w", err)
		}
		if err := lockFile(f); err != nil {
			f.Close()
			if !errors.Is(err, errHeld) {
				return nil, fmt.Errorf("lock %s: %w", path, err)
			}
			pid, held, err := HolderAs(dir, name)
			if held || err != nil {
				return nil, errors.Join(err, heldBy(dir, pid))
			}
			time.Sleep(time.Millisecond) // it was Holder that had it, elsewhere
			continue
		}
		switch {
		case !same(f, path):
			f.Close()
		case databaseHeld(dir):
			f.Close()
			return nil, heldBy(dir, 0)
		default:
			l := &Lock{f}
			return l, l.Name(os.Getpid())
		}
	}
	return nil, fmt.Errorf("lock %s: the file is replaced all the time", path)
}

func heldBy(dir string, pid int) error {
	if pid == 0 {
		return fmt.Errorf("%s: %w, in a process that cannot be seen from here: stop it first", dir, ErrRunning)
	}
	return fmt.Errorf("%s: %w (pid %d): stop it first", dir, ErrRunning, pid)
}

// inherited is the lock that the parent of this process handed on.
func inherited(path string) *Lock {
	text, ok := os.LookupEnv(lockVariable)
	if !ok {
		return nil
	}
	os.Unsetenv(lockVariable) // it is for one
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil
	}
	closeOnExec(fd)
	f := os.NewFile(uintptr(fd), path)
	if f == nil || !same(f, path) || lockFile(f) != nil {
		return nil // another directory's, or none: not ours to close
	}
	return &Lock{f}
}

// same says whether path is the file that is open.
func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// Name writes down which process holds the lock, for people and for Holder.
func (l *Lock) Name(pid int) error {
	text := strconv.Itoa(pid) + "\n"
	_, err := l.f.WriteAt([]byte(text), 0)
	if err == nil {
		err = l.f.Truncate(int64(len(text)))
	}
	if isFull(err) {
		return nil // the lock holds without the number
	}
	return err
}

// Hand gives the lock to a process that is about to start, which runs the node: the file
// to be its first beside the standard ones, and what must be in its environment.
func (l *Lock) Hand() (file *os.File, environment string) { return l.f, lockVariable + "=3" }

// Release gives the directory free, unless the lock was handed on.
func (l *Lock) Release() error { return l.f.Close() }

// Holder tells whether a process holds the directory of a node, and its number: 0 where
// it cannot be told, as in another container. It holds nothing.
func Holder(dir string) (pid int, held bool, err error) { return HolderAs(dir, LockName) }

// HolderAs is Holder of a lock that HoldAs took.
func HolderAs(dir, name string) (pid int, held bool, err error) {
	path := filepath.Join(dir, name)
	const tries, pause = 20, 5 * time.Millisecond
	for range tries {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, databaseHeld(dir), nil
		}
		if err != nil {
			return 0, false, fmt.Errorf("lock of the node: %w", err)
		}
		held, err := isLocked(f)
		if err != nil || !held {
			f.Close()
			if err != nil {
				return 0, false, fmt.Errorf("lock %s: %w", path, err)
			}
			return 0, databaseHeld(dir), nil
		}
		b, _ := io.ReadAll(io.LimitReader(f, 32))
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil && pid > 0 && hasOpen(pid, f) {
			f.Close()
			return pid, true, nil
		}
		f.Close()
		time.Sleep(pause) // the number is written right after the lock is taken
	}
	return 0, true, nil
}

// databaseHeld says whether a process has a database of the node open. It does where the
// lock's file was removed below a node that runs.
func databaseHeld(dir string) bool {
	for _, name := range []string{FragmentsDir, filepath.Join(LedgerDir, "db")} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			continue // nothing is open that is not there
		}
		held, err := isLocked(f)
		f.Close()
		if held && err == nil {
			return true
		}
	}
	return false
}

// Stopped says that a process does not run though it is there: it was sent SIGSTOP, or a
// debugger holds it.
func Stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat[max(0, strings.LastIndexByte(string(stat), ')')):]), " ")
	return strings.HasPrefix(state, "T") || strings.HasPrefix(state, "t")
}
