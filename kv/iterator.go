package kv

import (
	"bytes"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Iterator walks over the keys of a range, as they were when it was made.
type Iterator struct {
	db         *DB
	txn        *badger.Txn
	it         *badger.Iterator
	start, end []byte
	reverse    bool
	key, value []byte
	valid      bool
	err        error
}

// Iterate walks over [start, end), forwards or in reverse; a nil bound is open. The
// iterator stands at the first key; Close must be called, also after an error.
func (db *DB) Iterate(start, end []byte, reverse bool) *Iterator {
	i := &Iterator{start: start, end: end, reverse: reverse}
	if err := db.enter(); err != nil {
		i.err = err
		return i
	}
	i.db = db
	i.txn = db.b.NewTransaction(false)
	i.it = i.txn.NewIterator(badger.IteratorOptions{Reverse: reverse})
	switch {
	case !reverse:
		i.it.Seek(start)
	case end == nil:
		i.it.Rewind()
	default:
		i.it.Seek(end) // the largest key not above end
		if i.it.Valid() && bytes.Equal(i.it.Item().Key(), end) {
			i.it.Next()
		}
	}
	i.load()
	return i
}

// load reads the item under the cursor, or finds that the range has ended.
func (i *Iterator) load() {
	i.valid = false
	for i.it.Valid() && reserved(i.it.Item().Key()) {
		i.it.Next()
	}
	if !i.it.Valid() {
		return
	}
	item := i.it.Item()
	i.key = item.KeyCopy(nil)
	if i.reverse && i.start != nil && bytes.Compare(i.key, i.start) < 0 {
		return
	}
	if !i.reverse && i.end != nil && bytes.Compare(i.key, i.end) >= 0 {
		return
	}
	var err error
	if i.value, err = valueOf(item); err != nil {
		i.err = fmt.Errorf("get %q: %w", i.key, err)
		return
	}
	i.valid = true
}

// Valid reports whether the iterator stands at a key.
func (i *Iterator) Valid() bool { return i.valid }

// Next moves to the next key. It must not be called when Valid is false.
func (i *Iterator) Next() {
	if !i.valid {
		panic("kv: Next on an iterator that has ended")
	}
	i.it.Next()
	i.load()
}

// Key is a copy of the key.
func (i *Iterator) Key() []byte { return i.key }

// Value is a copy of the value.
func (i *Iterator) Value() []byte { return i.value }

// Error is what ended the iteration early, or nil.
func (i *Iterator) Error() error { return i.err }

// Close frees the iterator. Closing twice is harmless.
func (i *Iterator) Close() error {
	if i.db == nil {
		return i.err
	}
	i.it.Close()
	i.txn.Discard()
	i.db.leave()
	i.db, i.valid = nil, false
	return i.err
}
