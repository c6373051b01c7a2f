package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// Errors a caller branches on.
var (
	ErrMissing    = errors.New("not in this store")
	ErrUnknown    = errors.New("the blob is neither staged nor kept here")
	ErrFull       = errors.New("the store is full")
	ErrStagedFull = errors.New("the corner for blobs that are not registered yet is full")
	ErrFailing    = kv.ErrFailing
)

// Options say where a store is and how much it may hold.
type Options struct {
	Dir string
	// Capacity bounds fragments, their witnesses and the manifests, in bytes; what
	// would exceed it is refused with ErrFull. Zero: as much as the disk takes.
	Capacity int64
	// StagedCapacity bounds the part of it that is only staged, in bytes. Zero: an
	// eighth of Capacity, or no bound where that is zero.
	StagedCapacity int64
	// ReserveFree is how many bytes of the file system stay free. Zero: kv.DefaultReserve.
	ReserveFree int64
	// ScrubRate is how fast Run reads all fragments again, in bytes a second. Zero:
	// defaultScrubRate; below zero: not at all.
	ScrubRate int64
	Logger    *slog.Logger // nil: silent
	// Hurry is closed when Close must not wait any more for room; see kv.Options.
	Hurry <-chan struct{}
}

// defaultScrubRate reads 100 GB in about seven hours.
const defaultScrubRate = 4 << 20

// Store is an open store. It is safe for use by many goroutines.
type Store struct {
	db   *kv.DB
	opt  Options
	log  *slog.Logger
	rot  rot
	kick chan struct{} // asks Run to look after rot and garbage

	// change is held while the store is changed: one writer at a time makes counts
	// and bytes exact. A deletion has waited for kv.Deletes before taking it.
	change  sync.Mutex
	freed   atomic.Int64 // bytes that became garbage since the last collection
	rotten  atomic.Int64 // fragments lost to rot since opening
	collect sync.Mutex   // one collection at a time

	mu      sync.Mutex // guards the fields below
	usage   totals
	pending *group
}

// Open opens or creates the store in o.Dir. It starts nothing: see Run.
func Open(o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ScrubRate == 0 {
		o.ScrubRate = defaultScrubRate
	}
	if o.StagedCapacity == 0 {
		o.StagedCapacity = o.Capacity / 8
	}
	db, err := kv.Open(kv.Options{Dir: o.Dir, Profile: kv.Large, ReserveFree: o.ReserveFree, Logger: o.Logger, Hurry: o.Hurry})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{db: db, opt: o, log: o.Logger, rot: newRot(), kick: make(chan struct{}, 1)}
	s.freed.Store(1) // look once, whatever was left by the last run
	if s.usage, err = loadTotals(db); err != nil {
		db.Close()
		return nil, fmt.Errorf("open store %s: %w", o.Dir, err)
	}
	return s, nil
}

// Close waits for running calls and closes. Run must have returned.
func (s *Store) Close() error { return s.db.Close() }

// Failing is the first failure of the disk that was seen, or nil. After one nothing
// is acknowledged any more.
func (s *Store) Failing() error { return s.db.Failing() }

// Usage is what a store holds.
type Usage struct {
	Bytes       int64 // of fragments, each address counted once
	Proofs      int64 // bytes of witnesses and manifests
	Fragments   int64 // positions held; several can share their bytes
	Blobs       int64 // manifests held
	Staged      int64 // blobs of these that are only staged
	StagedBytes int64 // of Staged blobs: fragments, witnesses and manifests, each position counted
	// StagedCapacity is the bound on StagedBytes; zero: none.
	StagedCapacity int64
	Capacity       int64 // the bound on Bytes + Proofs; zero: none
	DiskBytes      int64 // blocks on the disk; -1 if they cannot be counted
	Rotten         int64 // positions lost to rot since opening
}

// Usage is what the store holds now. All but DiskBytes and Rotten is changed in the
// same transaction as what it counts, so it is exact after a crash.
func (s *Store) Usage() Usage {
	disk, err := s.db.DiskUsage()
	if err != nil {
		disk = -1
	}
	u := s.Counts()
	u.DiskBytes = disk
	return u
}

// Counts is Usage without DiskBytes, which costs a walk over the directory.
func (s *Store) Counts() Usage {
	u := s.totals()
	return Usage{
		Bytes: int64(u.Bytes), Proofs: int64(u.Proofs), Fragments: int64(u.Fragments), Blobs: int64(u.Blobs),
		Staged: int64(u.Staged), StagedBytes: int64(u.StagedBytes), StagedCapacity: s.opt.StagedCapacity,
		Capacity: s.opt.Capacity, DiskBytes: -1, Rotten: s.rotten.Load(),
	}
}

func (s *Store) totals() totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage
}

// wake asks Run to look after the store soon.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func missing(at blob.Position) error { return fmt.Errorf("%v: %w", at, ErrMissing) }
