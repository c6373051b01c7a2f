package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/dgraph-io/badger/v4"
)

// Open opens or creates the database in o.Dir. The errors say what to do:
// ErrLocked, ErrCorrupt, ErrFull, and those of the file system.
func Open(o Options) (db *DB, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database %s: %w", o.Dir, err)
		}
	}()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ReserveFree == 0 {
		o.ReserveFree = DefaultReserve
	}
	o.ReserveFree = max(o.ReserveFree, DefaultReserve/4)
	if err := prepareDir(o); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	w := newWatch(o.Logger)
	opt := o.badger(w)
	if err := inspect(opt, o.Logger); err != nil {
		lock.Close()
		return nil, err
	}
	b, err := openBadger(opt)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return newDB(b, o, w, lock), nil
}

// prepareDir makes the directory and refuses a file system that has no room for
// the files that are made at opening.
func prepareDir(o Options) error {
	info, err := os.Stat(o.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("not a directory: name another place or move the file away")
	}
	free, err := FreeBytes(o.Dir)
	if err != nil {
		return err
	}
	if free < o.ReserveFree/4 {
		return fmt.Errorf("%d MiB free, at least %d needed to open: %w", free>>20, o.ReserveFree>>22, ErrFull)
	}
	return nil
}

// openBadger turns the library's panics on damaged files into errors.
func openBadger(opt badger.Options) (b *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, damaged(fmt.Sprint(r))
		}
	}()
	b, err = badger.Open(opt)
	switch {
	case err == nil:
		return b, nil
	case isFull(err.Error()):
		return nil, fmt.Errorf("%v: %w", err, ErrFull)
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	default:
		return nil, damaged(err.Error())
	}
}

// damaged says what is wrong and what the owner of the directory can do.
func damaged(what string) error {
	return fmt.Errorf("%w (%s): check the disk, then restore this directory, or move it away and let the node fill a new one from the network", ErrCorrupt, what)
}
