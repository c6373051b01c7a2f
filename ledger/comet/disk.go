package comet

import (
	"bytes"
	"errors"
	"fmt"

	dbm "github.com/cometbft/cometbft-db"

	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/state"
)

// One database holds all of a node's ledger: the application's state under one
// prefix, each of CometBFT's stores under its own.
const (
	prefixState = "s/"
	prefixComet = "c/" // then the store's name and a slash
)

// stateDisk is the part of a database that the state lies in.
type stateDisk struct{ db *kv.DB }

func (d stateDisk) key(k []byte) []byte { return append([]byte(prefixState), k...) }

// Get reads a key.
func (d stateDisk) Get(key []byte) ([]byte, bool, error) { return d.db.Get(d.key(key)) }

// Each walks the keys that begin with prefix, in order.
func (d stateDisk) Each(prefix []byte, fn func(key, value []byte) error) error {
	return d.db.Each(d.key(prefix), func(k, v []byte) error { return fn(k[len(prefixState):], v) })
}

// EachAfter walks those of them that are above after.
func (d stateDisk) EachAfter(prefix, after []byte, fn func(key, value []byte) error) error {
	return d.db.EachAfter(d.key(prefix), d.key(after), func(k, v []byte) error { return fn(k[len(prefixState):], v) })
}

// empty says whether nothing was ever written.
func (d stateDisk) empty() (bool, error) {
	i := d.db.Iterate([]byte(prefixState), nil, false)
	some := i.Valid() && bytes.HasPrefix(i.Key(), []byte(prefixState))
	return !some, errors.Join(i.Error(), i.Close())
}

// Batch starts a batch.
func (d stateDisk) Batch() state.Batch { return stateBatch{d, d.db.Batch()} }

type stateBatch struct {
	disk  stateDisk
	batch *kv.Batch
}

func (b stateBatch) Set(key, value []byte) { b.batch.Set(b.disk.key(key), value) }

func (b stateBatch) Delete(key []byte) { b.batch.Delete(b.disk.key(key)) }

func (b stateBatch) Commit(sync bool) error { return b.batch.Commit(sync) }

// cometDisk is one of CometBFT's stores. After the database was closed reads find
// nothing: CometBFT's gossip outlives its Stop for a moment.
type cometDisk struct {
	db     *kv.DB
	prefix []byte
	// failed is told what could not be read or written, before CometBFT is: CometBFT
	// panics with it, in goroutines that end the process or swallow it, or tells its log
	// alone. Nil: the caller sees to it.
	failed func(wrote bool, err error)
}

func newCometDisk(db *kv.DB, name string, failed func(wrote bool, err error)) dbm.DB {
	return &cometDisk{db: db, prefix: []byte(prefixComet + name + "/"), failed: failed}
}

// tell tells of an error, and returns it.
func (d *cometDisk) tell(wrote bool, err error) error {
	if err != nil && d.failed != nil {
		d.failed(wrote, err)
	}
	return err
}

var errNoKey = errors.New("empty key")

func (d *cometDisk) key(k []byte) []byte {
	return append(append(make([]byte, 0, len(d.prefix)+len(k)), d.prefix...), k...)
}

func (d *cometDisk) Get(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, errNoKey
	}
	v, ok, err := d.db.Get(d.key(key))
	if errors.Is(err, kv.ErrClosed) || !ok {
		return nil, d.tell(false, ignoreClosed(err))
	}
	if v == nil && err == nil {
		v = []byte{} // there, and empty
	}
	return v, d.tell(false, err)
}

func ignoreClosed(err error) error {
	if errors.Is(err, kv.ErrClosed) {
		return nil
	}
	return err
}

func (d *cometDisk) Has(key []byte) (bool, error) {
	if len(key) == 0 {
		return false, errNoKey
	}
	_, ok, err := d.db.Get(d.key(key))
	return ok, d.tell(false, ignoreClosed(err))
}

func (d *cometDisk) write(sync bool, do func(dbm.Batch) error) error {
	b := d.NewBatch()
	if err := do(b); err != nil {
		return err
	}
	if sync {
		return b.WriteSync()
	}
	return b.Write()
}

func (d *cometDisk) Set(k, v []byte) error {
	return d.write(false, func(b dbm.Batch) error { return b.Set(k, v) })
}

func (d *cometDisk) SetSync(k, v []byte) error {
	return d.write(true, func(b dbm.Batch) error { return b.Set(k, v) })
}

func (d *cometDisk) Delete(k []byte) error {
	return d.write(false, func(b dbm.Batch) error { return b.Delete(k) })
}

func (d *cometDisk) DeleteSync(k []byte) error {
	return d.write(true, func(b dbm.Batch) error { return b.Delete(k) })
}

func (d *cometDisk) Iterator(start, end []byte) (dbm.Iterator, error) {
	return d.iterate(start, end, false)
}

func (d *cometDisk) ReverseIterator(start, end []byte) (dbm.Iterator, error) {
	return d.iterate(start, end, true)
}

func (d *cometDisk) iterate(start, end []byte, reverse bool) (dbm.Iterator, error) {
	if start != nil && len(start) == 0 || end != nil && len(end) == 0 {
		return nil, errNoKey
	}
	from, to := d.key(start), d.key(end)
	if end == nil {
		to = append([]byte{}, d.prefix...)
		to[len(to)-1]++ // the prefix ends in a slash: the next byte bounds it
	}
	return &cometIterator{d.db.Iterate(from, to, reverse), len(d.prefix), start, end}, nil
}

// Close does nothing: the database belongs to the caller that opened it.
func (d *cometDisk) Close() error { return nil }

func (d *cometDisk) NewBatch() dbm.Batch { return &cometBatch{d, d.db.Batch()} }

func (d *cometDisk) Print() error { return nil }

func (d *cometDisk) Stats() map[string]string { return nil }

func (d *cometDisk) Compact(_, _ []byte) error { return nil }

type cometBatch struct {
	disk  *cometDisk
	batch *kv.Batch
}

func (b *cometBatch) Set(k, v []byte) error {
	if len(k) == 0 || v == nil {
		return errNoKey
	}
	b.batch.Set(b.disk.key(k), v)
	return nil
}

func (b *cometBatch) Delete(k []byte) error {
	if len(k) == 0 {
		return errNoKey
	}
	b.batch.Delete(b.disk.key(k))
	return nil
}

func (b *cometBatch) Write() error     { return b.commit(false) }
func (b *cometBatch) WriteSync() error { return b.commit(true) }

func (b *cometBatch) commit(sync bool) error {
	if b.batch.Len() == 0 {
		return nil
	}
	if err := b.batch.CommitParts(sync); err != nil {
		return b.disk.tell(true, fmt.Errorf("ledger database: %w", err))
	}
	return nil
}

func (b *cometBatch) Close() error {
	b.batch.Discard()
	return nil
}

type cometIterator struct {
	*kv.Iterator
	cut        int
	start, end []byte
}

func (i *cometIterator) Domain() ([]byte, []byte) { return i.start, i.end }
func (i *cometIterator) Key() []byte              { return i.Iterator.Key()[i.cut:] }
