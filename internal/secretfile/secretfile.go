// Package secretfile reads files that hold secrets, and refuses those that others may
// read or write.
//
// The promise: what Read returns without an error came from a file whose mode lets only
// its owner read or write it, and whose owner is the user that runs the program, or root.
// What is no regular file (a pipe, /dev/stdin) has no mode that means anything, and is
// read.
//
// Left to others: whether a user said that it shall be read all the same, and what is
// in it.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// ErrLoose is returned for a file that others may read or write.
var ErrLoose = errors.New("others may read or write it")

// Read reads at most limit bytes of a file. loose says to read it whatever its mode.
func Read(path string, limit int64, loose bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := check(path, info); err != nil && !loose {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// Check is what Read checks, of a file or directory that is not read. One that is not
// there is fine.
func Check(path string, loose bool) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || loose {
		return nil
	}
	if err != nil {
		return err
	}
	return check(path, info)
}

func check(path string, info fs.FileInfo) error {
	wanted, loose := "600", fs.FileMode(0o077)
	switch {
	case info.IsDir(): // others may list it: what is in it has modes of its own
		wanted, loose = "700", 0o022
	case !info.Mode().IsRegular():
		return nil
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && int(is.Uid) != os.Geteuid() && is.Uid != 0 {
		return fmt.Errorf("%s belongs to another user (%d), who may read and write it: %w: use a copy of your own, or say --allow-loose-permissions", path, is.Uid, ErrLoose)
	}
	if mode := info.Mode().Perm(); mode&loose != 0 {
		return fmt.Errorf("%s has mode %04o: %w: chmod %s %s, or say --allow-loose-permissions", path, mode, ErrLoose, wanted, word(path))
	}
	return nil
}

// word is a path as a shell takes it.
func word(path string) string {
	if path != "" && strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,@") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
