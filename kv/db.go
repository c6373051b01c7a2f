package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sync/semaphore"
)

// DB is an open database. It is safe for use by many goroutines.
type DB struct {
	b       *badger.DB
	dir     string
	profile Profile
	reserve int64
	watch   *watch
	log     *slog.Logger
	lock    *os.File
	hurry   <-chan struct{}

	// writes is shared by commits and held alone while a collection rotates the logs.
	writes sync.RWMutex
	// deletes is shared by batches that delete and held alone by a collection:
	// a key deleted while a log is rewritten could come back.
	deletes *semaphore.Weighted

	touched atomic.Int64 // bytes of values written and read since the last pageOut

	mu     sync.Mutex // guards the fields below
	closed bool
	inUse  int
	idle   *sync.Cond
}

const allDeletes = 1 << 30

func newDB(b *badger.DB, o Options, w *watch, lock *os.File) *DB {
	db := &DB{
		b: b, dir: o.Dir, profile: o.Profile, reserve: o.ReserveFree,
		watch: w, log: o.Logger, lock: lock, hurry: o.Hurry,
		deletes: semaphore.NewWeighted(allDeletes),
	}
	db.idle = sync.NewCond(&db.mu)
	return db
}

// enter keeps the database open until leave. Without it a late reader would meet
// closed files: the library answers that with a panic.
func (db *DB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	db.inUse++
	return nil
}

func (db *DB) leave() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.inUse--
	if db.inUse == 0 {
		db.idle.Broadcast()
	}
}

// Close waits for running calls and open iterators, then writes out and closes.
// Where the file system has no room for that, it waits for some, until Options.Hurry
// is closed. Then it returns ErrFull and leaves all as after a crash: what was
// acknowledged is in the logs, and the next process reads it there.
// Later calls return ErrClosed. Closing twice is harmless.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	for db.inUse > 0 {
		db.idle.Wait()
	}
	db.mu.Unlock()
	if err := db.awaitRoom(); err != nil {
		return fmt.Errorf("close database %s: %w", db.dir, err)
	}
	err := db.closeBadger()
	if lerr := db.lock.Close(); err == nil {
		err = lerr
	}
	if err != nil {
		return fmt.Errorf("close database %s: %w", db.dir, err)
	}
	return db.watch.err()
}

// awaitRoom waits for what Close writes out.
func (db *DB) awaitRoom() error {
	const pause = 200 * time.Millisecond
	for {
		free, err := FreeBytes(db.dir)
		if err != nil || free >= CloseRoom {
			return nil // what cannot be told is tried
		}
		full := fmt.Errorf("%d MiB left, %d are needed to close: %w", free>>20, int64(CloseRoom)>>20, ErrFull)
		if db.hurry == nil {
			return full
		}
		select {
		case <-db.hurry:
			return full
		case <-time.After(pause):
		}
	}
}

// closeGrace is how long Close waits for a disk that is failing: the library tries
// for ever to write out what it holds. All of that is in its logs.
const closeGrace = 5 * time.Second

func (db *DB) closeBadger() error {
	done := make(chan error, 1)
	go func() { done <- db.b.Close() }()
	select {
	case err := <-done:
		return err
	case <-db.watch.failed:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(closeGrace):
		return db.watch.err()
	}
}

// Failing is the first failure of the disk that was seen, or nil. After one, no
// commit succeeds: what the disk holds is known again only after a restart.
func (db *DB) Failing() error { return db.watch.err() }

// Verify reads the tree's tables and checks them. While a database is open, a block
// that went bad reads as if its keys were absent: only this, or opening, tells.
func (db *DB) Verify() (err error) {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	defer func() {
		if r := recover(); r != nil { // what the library does with a bad block here
			err = damaged(fmt.Sprint(r))
		}
	}()
	if err := db.b.VerifyChecksum(); err != nil {
		return damaged(err.Error())
	}
	return nil
}

// DiskUsage is what the database occupies on its disk, in bytes: blocks, not sizes.
func (db *DB) DiskUsage() (int64, error) { return DiskUsage(db.dir) }

// Free is what the file system has left, in bytes.
func (db *DB) Free() (int64, error) { return FreeBytes(db.dir) }

// Get returns a copy of the value of key.
func (db *DB) Get(key []byte) (value []byte, ok bool, err error) {
	err = db.View(func(r Reader) error {
		value, ok, err = r.Get(key)
		return err
	})
	return value, ok, err
}

// Each calls fn with every key that begins with prefix, in order, until fn returns
// an error. Key and value are valid during the call only.
func (db *DB) Each(prefix []byte, fn func(key, value []byte) error) error {
	return db.View(func(r Reader) error { return r.Each(prefix, fn) })
}

// EachAfter is Each from the first key above after on.
func (db *DB) EachAfter(prefix, after []byte, fn func(key, value []byte) error) error {
	start := prefix
	if bytes.Compare(after, prefix) >= 0 {
		start = append(bytes.Clone(after), 0)
	}
	return db.View(func(r Reader) error { return r.From(prefix, start, fn) })
}

// EachKey is Each without the values, which are not read.
func (db *DB) EachKey(prefix []byte, fn func(key []byte) error) error {
	return db.View(func(r Reader) error { return r.EachKey(prefix, fn) })
}

// View calls fn with a reader that sees one state of the database throughout.
func (db *DB) View(fn func(r Reader) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	txn := db.b.NewTransaction(false)
	defer txn.Discard()
	return fn(Reader{db: db, txn: txn})
}

// residentStep is how many bytes of values may be touched before their pages are
// given back.
const residentStep = 64 << 20

// touch counts bytes of values that were written or read through the mapping.
func (db *DB) touch(n int) {
	if db.profile != Large || db.touched.Add(int64(n)) < residentStep {
		return
	}
	if db.touched.Swap(0) < residentStep {
		return // another goroutine is at it
	}
	if err := pageOut(db.dir); err != nil {
		db.log.Debug("give pages of value logs back", "err", err)
	}
}

// Reader reads one state of the database. It is valid inside View only.
type Reader struct {
	db  *DB
	txn *badger.Txn
}

// readTries bounds how often a value is looked up again that was moved by a
// collection between the look at the tree and the look into the log.
const readTries = 4

// Get returns a copy of the value of key.
func (r Reader) Get(key []byte) (value []byte, ok bool, err error) {
	if len(key) == 0 {
		return nil, false, nil
	}
	for range readTries {
		var item *badger.Item
		item, err = r.txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil, false, nil
		}
		if err != nil {
			break
		}
		if value, err = valueOf(item); err == nil {
			r.db.touch(len(value))
			return value, true, nil
		}
	}
	return nil, false, fmt.Errorf("get %q: %w", key, err)
}

// valueOf copies an item's value. What is damaged in a log shows here, at times as a panic.
func valueOf(item *badger.Item) (value []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("%w: %v", ErrLost, r)
		}
	}()
	value, err = item.ValueCopy([]byte{})
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrLost, err)
	}
	if len(value) == 0 && item.ValueSize() > 0 {
		return nil, ErrLost // the library logs it and answers with nothing
	}
	return value, nil
}

// Has reports whether key is there, without reading its value.
func (r Reader) Has(key []byte) (bool, error) {
	if len(key) == 0 {
		return false, nil
	}
	_, err := r.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get %q: %w", key, err)
	}
	return true, nil
}

// Each calls fn with every key that begins with prefix, in order.
func (r Reader) Each(prefix []byte, fn func(key, value []byte) error) error {
	return r.From(prefix, prefix, fn)
}

// From is Each beginning at the first key not below start.
func (r Reader) From(prefix, start []byte, fn func(key, value []byte) error) error {
	return r.walk(prefix, start, func(item *badger.Item) error {
		value, err := valueOf(item)
		if err != nil {
			return fmt.Errorf("get %q: %w", item.Key(), err)
		}
		return fn(item.Key(), value)
	})
}

// EachKey calls fn with every key that begins with prefix, in order; values are not read.
func (r Reader) EachKey(prefix []byte, fn func(key []byte) error) error {
	return r.KeysFrom(prefix, prefix, fn)
}

// KeysFrom is EachKey beginning at the first key not below start.
func (r Reader) KeysFrom(prefix, start []byte, fn func(key []byte) error) error {
	return r.walk(prefix, start, func(item *badger.Item) error { return fn(item.Key()) })
}

func (r Reader) walk(prefix, start []byte, fn func(*badger.Item) error) error {
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(start); it.Valid(); it.Next() {
		if reserved(it.Item().Key()) {
			continue
		}
		if err := fn(it.Item()); err != nil {
			return err
		}
	}
	return nil
}

// Deletes waits until no collection is running and keeps the next one out until
// the batch is committed or discarded.
func (db *DB) Deletes(ctx context.Context) (*Batch, error) {
	if err := db.deletes.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return &Batch{db: db, mayDelete: true}, nil
}

// TryDeletes is Deletes, or nil while a collection is running.
func (db *DB) TryDeletes() *Batch {
	if !db.deletes.TryAcquire(1) {
		return nil
	}
	return &Batch{db: db, mayDelete: true}
}
