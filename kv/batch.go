package kv

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Batch collects changes and commits them as one. It is used by one goroutine.
type Batch struct {
	db        *DB
	changes   []change
	bytes     int64
	mayDelete bool // holds a share of db.deletes
	deletes   bool
}

type change struct {
	key, value []byte
	deleted    bool
}

// Batch returns an empty batch.
func (db *DB) Batch() *Batch { return &Batch{db: db} }

// Set writes value under key. The batch keeps both slices: they must not change
// before Commit has returned.
func (b *Batch) Set(key, value []byte) {
	b.changes = append(b.changes, change{key: key, value: value})
	b.bytes += int64(len(key) + len(value))
}

// Delete removes key, which need not be there.
func (b *Batch) Delete(key []byte) {
	b.changes = append(b.changes, change{key: key, deleted: true})
	b.bytes += int64(len(key))
	b.deletes = true
}

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.changes) }

// Bytes is what the changes weigh.
func (b *Batch) Bytes() int64 { return b.bytes }

// maxBatchKeys is a number of changes that fits into one batch whatever the profile,
// if the values are small.
const maxBatchKeys = 4000

// Commit makes the changes, all or none. With sync they are on the disk when it
// returns. Without, they are visible to every later read and reach the disk in order,
// before any later commit with sync does; an error then shows in Failing.
// A batch larger than a transaction is refused with ErrTooLarge and changes nothing:
// a Small database takes about 4.5 MiB at once, a Large one maxBatchKeys keys, its
// large values hardly counting. The batch is empty afterwards.
func (b *Batch) Commit(sync bool) error {
	defer b.Discard()
	return b.commit(b.changes, sync)
}

// CommitParts is Commit in as many transactions as are needed, in the order of the
// calls to Set and Delete: not atomic, a crash leaves a beginning of it.
func (b *Batch) CommitParts(sync bool) error {
	defer b.Discard()
	limit := b.db.b.MaxBatchSize() / 2
	for rest := b.changes; len(rest) > 0; {
		n, size := 0, int64(0)
		for n < len(rest) && n < maxBatchKeys && (n == 0 || size+rest[n].weight() <= limit) {
			size += rest[n].weight()
			n++
		}
		if err := b.commit(rest[:n], sync); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (c change) weight() int64 { return int64(len(c.key)+len(c.value)) + 32 }

// Discard forgets the changes. It is harmless after Commit.
func (b *Batch) Discard() {
	if b.mayDelete {
		b.mayDelete = false
		b.db.deletes.Release(1)
	}
	b.changes, b.bytes, b.deletes = nil, 0, false
}

func (b *Batch) commit(changes []change, sync bool) error {
	if len(changes) == 0 {
		return b.db.watch.err()
	}
	db := b.db
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.watch.err(); err != nil {
		return err
	}
	if err := db.roomFor(b.bytes); err != nil {
		return err
	}
	if b.deletes && !b.mayDelete {
		if err := db.deletes.Acquire(context.Background(), 1); err != nil {
			return err
		}
		b.mayDelete = true
	}
	db.writes.RLock()
	defer db.writes.RUnlock()
	txn := db.b.NewTransaction(true)
	defer txn.Discard()
	if err := db.fill(txn, changes, !sync); err != nil {
		return fmt.Errorf("commit %d changes: %w", len(changes), err)
	}
	if !sync {
		return db.commitLater(txn)
	}
	if err := txn.Commit(); err != nil {
		return fmt.Errorf("commit %d changes: %w", len(changes), db.explain(err))
	}
	db.touch(int(b.bytes))
	// The commit point. A value log that could not be synced is only logged by the
	// library, before Commit returns: without this look it would be acknowledged.
	return db.watch.err()
}

func (db *DB) fill(txn *badger.Txn, changes []change, own bool) error {
	for _, c := range changes {
		if err := checkKey(c.key); err != nil {
			return err
		}
		if db.profile == Small && len(c.value) > MaxSmallValue {
			return fmt.Errorf("value of %d bytes under %q, at most %d: %w", len(c.value), c.key, MaxSmallValue, ErrTooLarge)
		}
		if own {
			c.key, c.value = append([]byte(nil), c.key...), append([]byte(nil), c.value...)
		}
		var err error
		if c.deleted {
			err = txn.Delete(c.key)
		} else {
			err = txn.Set(c.key, c.value)
		}
		if err != nil {
			return db.explain(err)
		}
	}
	return nil
}

// commitLater hands the transaction to the writer and does not wait for the disk.
// The database stays open until it is written.
func (db *DB) commitLater(txn *badger.Txn) error {
	if err := db.enter(); err != nil {
		return err
	}
	txn.CommitWith(func(err error) {
		defer db.leave()
		if err != nil {
			db.watch.broke("write: " + err.Error())
		}
	})
	return nil
}

func (db *DB) explain(err error) error {
	switch {
	case errors.Is(err, badger.ErrTxnTooBig):
		return ErrTooLarge
	case isFull(err.Error()):
		return fmt.Errorf("%w: %v", ErrFull, err)
	case isDiskFailure(err.Error()):
		db.watch.broke(err.Error())
		return db.watch.err()
	}
	return err
}

// roomFor refuses to run into a full file system: the files are mapped, and a page
// that cannot be given one is the end of the process.
func (db *DB) roomFor(bytes int64) error {
	free, err := FreeBytes(db.dir)
	if err != nil {
		return err
	}
	if free-bytes < db.reserve {
		return fmt.Errorf("%d MiB left, %d must stay free: %w", free>>20, db.reserve>>20, ErrFull)
	}
	return nil
}

func checkKey(key []byte) error {
	switch {
	case len(key) == 0:
		return errors.New("empty key")
	case len(key) > maxKey:
		return fmt.Errorf("key of %d bytes, at most %d", len(key), maxKey)
	case reserved(key):
		return fmt.Errorf("key %q: a key does not begin with '!' or 0xff", key)
	}
	return nil
}

// reserved keys are the library's and the collection's.
func reserved(key []byte) bool { return len(key) > 0 && (key[0] == '!' || key[0] == 0xff) }
