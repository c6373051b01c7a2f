package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Giving space back. Badger's value logs are freed only by rewriting them without
// what was deleted, and it rewrites nothing before the tree has been compacted over
// the deletions. Worse, a log that is rewritten while a deletion is still on its way
// down the tree brings the deleted key back. So a collection
//
//	1  keeps deletions out and pauses commits for the blink of steps 2 to 4,
//	2  closes the log being written, by filling it up with pads,
//	3  moves the watermark below which old versions may go,
//	4  drops the pads, which flushes the memtable and compacts it into the last level,
//	5  looks that no other level holds anything: now no deletion is on its way,
//	6  rewrites the logs with the most garbage, one by one, having looked at each for damage,
//	7  lets deletions in again.
const (
	padPrefix = "!pad"
	padBytes  = inlineValue + 32
	// sliceTime is how long deletions wait at most, but for one log's rewriting.
	sliceTime = 5 * time.Second
	// worthwhile is the share of garbage from which a log may be rewritten; which
	// ones are is bounded by enough.
	worthwhile = 0.01
)

// enough is the disk use at which a collection rests: an eighth above what is live.
func enough(live int64) int64 { return live + live/8 + 4<<20 }

// lastKey is the end of the key space: written by a collection so that the
// compaction spans every key.
var lastKey = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ErrSmall is returned by Collect on a Small database, which needs none.
var ErrSmall = errors.New("a small database gives space back by itself")

// Collect gives the space of deleted values back to the file system, until little
// more than the live bytes is used. Puts go on meanwhile, between the logs: they wait
// for tenths of a second; deletions wait for up to sliceTime at a time. It returns by
// how many bytes the disk use fell. A collection cut off by ctx or a crash has lost nothing.
func (db *DB) Collect(ctx context.Context) (freed int64, err error) {
	if db.profile != Large {
		return 0, ErrSmall
	}
	if err := db.enter(); err != nil {
		return 0, err
	}
	defer db.leave()
	before, err := db.DiskUsage()
	if err != nil {
		return 0, err
	}
	for more := true; more && err == nil; {
		more, err = db.collectSlice(ctx)
	}
	db.touch(residentStep) // logs were read and written whole
	after, derr := db.DiskUsage()
	if err == nil {
		err = derr
	}
	if err != nil {
		return before - after, fmt.Errorf("collect %s: %w", db.dir, err)
	}
	return before - after, nil
}

// collectSlice runs the steps above once and reports whether another slice is worth it.
func (db *DB) collectSlice(ctx context.Context) (more bool, err error) {
	if err := db.deletes.Acquire(ctx, allDeletes); err != nil {
		return false, err
	}
	defer db.deletes.Release(allDeletes)
	live, err := db.settle(ctx)
	if err != nil {
		return false, err
	}
	for began := time.Now(); ; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		used, err := db.DiskUsage()
		if err != nil || used <= enough(live) {
			return false, err
		}
		if time.Since(began) > sliceTime {
			return true, nil
		}
		if err := db.rescueVictim(); err != nil {
			return false, err
		}
		switch err := db.rewriteLog(); {
		case errors.Is(err, badger.ErrNoRewrite):
			if uncounted(used, live) {
				db.log.Info("garbage in value logs is not accounted for: it is counted again at the next start", "used", used, "live", live)
				return false, markRecount(db.dir)
			}
			return false, nil
		case err != nil:
			return false, db.explain(err)
		}
		if err := db.watch.err(); err != nil {
			return false, err
		}
	}
}

// rewriteLog rewrites the log with the most garbage. Commits pause for it and run in
// between: the library reads its latest version without a lock as it begins.
func (db *DB) rewriteLog() error {
	db.writes.Lock()
	defer db.writes.Unlock()
	return db.b.RunValueLogGC(worthwhile)
}

// settleTries bounds how often the tree is compacted to find its upper levels
// empty: a compaction of the library's own may be under way.
const settleTries = 5

// settle brings every deletion to the bottom of the tree and returns the bytes
// that are live.
func (db *DB) settle(ctx context.Context) (live int64, err error) {
	for range settleTries {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := db.flatten(); err != nil {
			return 0, err
		}
		if db.settled() {
			return db.liveBytes()
		}
	}
	return 0, errors.New("the tree does not settle: writes are faster than its compaction; try again later")
}

// flatten is steps 2 to 4. No commit runs meanwhile.
func (db *DB) flatten() error {
	db.writes.Lock()
	defer db.writes.Unlock()
	if err := db.roomFor(2 * valueLogItems * padBytes); err != nil {
		return err
	}
	txn := db.b.NewTransaction(true)
	defer txn.Discard()
	pad := make([]byte, padBytes)
	for i := range valueLogItems + 1 {
		if err := txn.Set(fmt.Appendf(nil, "%s%06d", padPrefix, i), pad); err != nil {
			return db.explain(err)
		}
	}
	if err := txn.Set(lastKey, nil); err != nil {
		return db.explain(err)
	}
	if err := txn.Commit(); err != nil {
		return db.explain(err)
	}
	for range 2 {
		if err := db.b.View(func(*badger.Txn) error { return nil }); err != nil {
			return err
		}
	}
	if err := db.b.DropPrefix([]byte(padPrefix)); err != nil {
		return db.explain(err)
	}
	return db.watch.err()
}

// settled reports whether the last level alone holds tables. Commits that came after
// flatten hold no deletions, so what they flush is no obstacle; but they are few,
// and waiting for none at all is simpler to be sure of.
func (db *DB) settled() bool {
	levels := db.b.Levels()
	for _, l := range levels[:len(levels)-1] {
		if l.NumTables > 0 {
			return false
		}
	}
	return true
}

// liveBytes is what a database without garbage would weigh: keys and values, and
// what the tree adds to each.
func (db *DB) liveBytes() (live int64, err error) {
	const perKey = 24
	txn := db.b.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		live += item.EstimatedSize() + item.KeySize() + perKey
	}
	return live, nil
}
