package kv

import (
	"errors"
	"log/slog"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Profile is what a database is for.
type Profile int

const (
	// Small holds keys and small values: all of it is in the tree, which gives
	// space back by itself. A value has at most MaxSmallValue bytes.
	Small Profile = iota
	// Large holds values of many KiB beside the tree, in logs whose space Collect
	// gives back.
	Large
)

// MaxSmallValue is the largest value of a Small database, in bytes.
const MaxSmallValue = 1 << 20

// maxKey is the longest key, in bytes.
const maxKey = 4096

// Options say where and how a database is kept.
type Options struct {
	Dir     string
	Profile Profile
	// ReserveFree is how many bytes of the file system stay free: a batch that would
	// go below is refused with ErrFull. Zero means DefaultReserve; it cannot be
	// less than a quarter of it, because the maintenance of the tree needs room too.
	ReserveFree int64
	Logger      *slog.Logger // nil: silent
	// Hurry is closed when no time is left: until then Close waits for the room that it
	// needs on a full file system. Nil: it does not wait.
	Hurry <-chan struct{}
}

// CloseRoom is what the file system must have free for a database to be closed: what is
// in memory is written out then, through a mapping, where a missing page ends the process.
const CloseRoom = 64 << 20

// DefaultReserve is what a database leaves free on its file system: room for the
// logs that are open and one rewriting of the tree's upper level, with a margin.
const DefaultReserve = 256 << 20

// Errors a caller branches on.
var (
	ErrLocked   = errors.New("in use by another process: is a node already running on this directory?")
	ErrCorrupt  = errors.New("the database is damaged")
	ErrFull     = errors.New("the file system is full")
	ErrFailing  = errors.New("the disk is failing")
	ErrTooLarge = errors.New("too large for one batch")
	ErrClosed   = errors.New("the database is closed")
	ErrLost     = errors.New("the value cannot be read any more") // its key is there
)

// Sizes that shape memory and files. Lowering a memtable size makes a database
// that crashed under the higher one unopenable: only ever raise them.
const (
	smallMemtable = 32 << 20 // 15 % of it is the largest batch
	largeMemtable = 8 << 20
	valueLog      = 64 << 20 // a value log is closed at this size…
	valueLogItems = 4096     // …or at this number of values
	// inlineValue is the size from which a Large value goes to the value log. What
	// is below it can never be brought back by the collection of a log.
	inlineValue = 256
	// oneLevel keeps the tree of a Large database at two levels up to this size:
	// with more, a collected log could bring deleted keys back.
	oneLevel = 64 << 30
)

func (o Options) badger(w *watch) badger.Options {
	b := badger.DefaultOptions(o.Dir).
		WithLogger(w).
		WithSyncWrites(true). // the only setting that also syncs logs that were rotated meanwhile
		WithBypassLockGuard(true).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithChecksumVerificationMode(options.OnBlockRead). // tables are verified by inspect
		WithVerifyValueChecksum(true).                     // without it a damaged length leaves a log locked for ever
		WithValueLogFileSize(valueLog)
	if o.Profile == Small {
		return b.
			WithMemTableSize(smallMemtable).
			WithValueThreshold(MaxSmallValue).
			WithBaseTableSize(4 << 20).
			WithNumLevelZeroTables(2).
			WithNumLevelZeroTablesStall(8)
	}
	return b.
		WithMemTableSize(largeMemtable).
		WithValueThreshold(inlineValue).
		WithValueLogMaxEntries(valueLogItems).
		WithBaseLevelSize(oneLevel).
		WithBaseTableSize(8 << 20).
		WithNumLevelZeroTables(1).
		WithNumLevelZeroTablesStall(9)
}
