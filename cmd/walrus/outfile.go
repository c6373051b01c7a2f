package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// maxLinks bounds how many symbolic links lead to a file, as the system does.
const maxLinks = 40

// target is where a path leads: a descriptor that this process holds already
// (/dev/stdout, /dev/fd/3), or a file.
type target struct {
	path string
	fd   int // -1: none
}

// resolve follows the links of a path up to a descriptor of this process. Opening such
// a path anew would begin at the start of its file; the descriptor knows its place.
func resolve(path string) (target, error) {
	self := fmt.Sprintf("/proc/%d", os.Getpid())
	for range maxLinks {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return target{}, err
		}
		path = filepath.Join(dir, filepath.Base(path))
		if where, ok := strings.CutSuffix(dir, "/fd"); ok && (where == "/dev" || where == self || strings.HasPrefix(where, self+"/task/")) {
			if fd, err := strconv.Atoi(filepath.Base(path)); err == nil && fd >= 0 {
				return target{path, fd}, nil
			}
		}
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return target{path, -1}, nil
		}
		if err != nil {
			return target{}, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return target{path, -1}, nil
		}
		to, err := os.Readlink(path)
		if err != nil {
			return target{}, err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		path = to
	}
	return target{}, fmt.Errorf("%s: too many links", path)
}

// isDescriptor says whether a path is another name of a descriptor of this process.
func isDescriptor(path string, fd int) bool {
	t, err := resolve(path)
	return err == nil && t.fd == fd
}

// outputName is - for every name of standard output: what is written there must not
// begin at the start of the file that it may be.
func outputName(path string) string {
	if path == "-" || path != "" && isDescriptor(path, int(os.Stdout.Fd())) {
		return "-"
	}
	return path
}

// writeWhole makes a file with what fill writes. A new file, and a regular file that
// only this name means, appears whole or not at all; it keeps mode and owner. What else
// is there (other names of the same file, another's file, one in a directory that takes
// none) is written in place, once all of it is there if a place for that is found.
// What is no regular file, like a pipe or a device, is written to as it is.
func writeWhole(ctx context.Context, path string, perm fs.FileMode, fill func(io.Writer) error) error {
	t, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if t.fd >= 0 {
		fd, err := syscall.Dup(t.fd)
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return fillAndClose(os.NewFile(uintptr(fd), path), fill)
	}
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return replacement(t.path, nil, perm, fill)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("write %s: it is a directory: name a file in it", path)
	case !info.Mode().IsRegular():
		f, err := openWaiting(ctx, t.path, os.O_WRONLY)
		if err != nil {
			return err
		}
		return fillAndClose(f, fill)
	}
	old, err := os.OpenFile(t.path, os.O_WRONLY, 0) // a user that may not write it may not replace it
	if err != nil {
		return err
	}
	defer old.Close()
	return replacement(t.path, old, perm, fill)
}

func fillAndClose(f *os.File, fill func(io.Writer) error) error {
	return errors.Join(fill(f), f.Close())
}

// replacement writes a file beside path and gives it path's name. old is the file that
// has the name now, or nil.
func replacement(path string, old *os.File, perm fs.FileMode, fill func(io.Writer) error) error {
	part, err := newPart(filepath.Dir(path), perm)
	if err != nil {
		return inPlace(path, old, perm, fill, err)
	}
	defer part.remove()
	err = fill(part)
	if err == nil {
		err = part.Sync()
	}
	if err != nil {
		return roomText(errors.Join(err, part.Close()), "nothing was left behind")
	}
	if old == nil || part.becomes(old) {
		if err := part.Close(); err != nil {
			return roomText(err, "nothing was left behind")
		}
		if err = os.Rename(part.Name(), path); err == nil || old == nil {
			return err
		}
		if part.File, err = os.Open(part.Name()); err != nil { // the directory lets no name be replaced
			return err
		}
	}
	defer part.Close()
	if _, err = part.Seek(0, io.SeekStart); err == nil {
		if _, err = io.Copy(old, part); err == nil {
			err = trim(old)
		}
	}
	if err != nil {
		part.keep = true
		return roomText(fmt.Errorf("write %s: %w", path, err), fmt.Sprintf("it is damaged now; all of its new content is in %s", part.Name()))
	}
	return nil
}

// inPlace writes where no file can be made beside. The first byte, which is verified
// like all others, is the first that changes it.
func inPlace(path string, old *os.File, perm fs.FileMode, fill func(io.Writer) error, why error) error {
	if old == nil {
		if !errors.Is(why, syscall.ENAMETOOLONG) {
			return fmt.Errorf("write %s: %w", path, why)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		forget := leaves(path)
		defer forget()
		if err := fillAndClose(f, fill); err != nil {
			os.Remove(path)
			return roomText(err, "nothing was left behind")
		}
		return nil
	}
	c := &countingWriter{w: old}
	err := fill(c)
	if err == nil || c.n > 0 {
		err = errors.Join(err, trim(old))
	}
	if err != nil && c.n > 0 {
		return roomText(fmt.Errorf("write %s: %w", path, err), fmt.Sprintf("no file can be made beside it, so it was written in place: it has the first %d bytes now, and no more", c.n))
	}
	return roomText(err, "it is as it was")
}

// trim ends a file where the last byte was written.
func trim(f *os.File) error {
	at, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		err = f.Truncate(at)
	}
	if err == nil {
		err = f.Sync()
	}
	return err
}

// roomText adds what became of the file, and on a full disk what to do.
func roomText(err error, became string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %s; make room, or write to another disk with -o", err, became)
	case strings.HasPrefix(became, "nothing"):
		return err
	}
	return fmt.Errorf("%w: %s", err, became)
}

// part is a file that is to get another's name.
type part struct {
	*os.File
	keep   bool
	forget func()
}

// partName is a new name in dir for what is to get another name. It is short: a name made from
// the other's might be longer than the file system takes.
func partName(dir string) string {
	var random [6]byte
	rand.Read(random[:])
	return filepath.Join(dir, ".walrus-"+hex.EncodeToString(random[:]))
}

// newPart makes one with a name of its own.
func newPart(dir string, perm fs.FileMode) (*part, error) {
	name := partName(dir)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, perm)
	if err != nil {
		return nil, err
	}
	return &part{File: f, forget: leaves(name)}, nil
}

func (p *part) remove() {
	if !p.keep {
		os.Remove(p.Name()) // renamed, there is none
	}
	p.forget()
}

// becomes gives the part mode and owner of a file; false says that it cannot stand for
// the file, because other names mean that one or the owner is another.
func (p *part) becomes(old *os.File) bool {
	info, err := old.Stat()
	if err != nil {
		return false
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok || is.Nlink != 1 || int(is.Uid) != os.Geteuid() {
		return false
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	return p.Chown(-1, int(is.Gid)) == nil && p.Chmod(info.Mode()&bits) == nil
}

// openWaiting opens what may wait for another process, as a named pipe does.
func openWaiting(ctx context.Context, path string, flag int) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	got := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(path, flag, 0)
		got <- opened{f, err}
	}()
	select {
	case o := <-got:
		return o.f, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("open %s: %w", path, ctx.Err())
	}
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// leftovers are files, and directories with all in them, that must not outlive the process,
// for the case that it is ended while a call to the system blocks.
var leftovers struct {
	mu    sync.Mutex // guards paths
	paths map[string]bool
}

// leaves notes a file or directory to be removed if the process is forced to end.
func leaves(path string) (forget func()) {
	leftovers.mu.Lock()
	defer leftovers.mu.Unlock()
	if leftovers.paths == nil {
		leftovers.paths = map[string]bool{}
	}
	leftovers.paths[path] = true
	return func() {
		leftovers.mu.Lock()
		defer leftovers.mu.Unlock()
		delete(leftovers.paths, path)
	}
}

func removeLeftovers() {
	leftovers.mu.Lock() // never given back: nothing is begun any more
	for path := range leftovers.paths {
		os.RemoveAll(path)
	}
}
