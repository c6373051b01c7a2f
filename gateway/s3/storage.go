package s3

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/unit"
)

// Errors of a Storage, on which the door branches.
var (
	ErrSpoolFull = errors.New("the spool is full")
	ErrTooLarge  = errors.New("larger than a blob may be")
	ErrBusy      = errors.New("as many stores or reads are under way as the gateway takes")
	ErrNoRoom    = errors.New("the network has no room for it")
	ErrFunds     = errors.New("the wallet cannot pay for it")
	ErrNoLease   = errors.New("the wallet has no lease on the blob")
)

// Storage keeps bodies as certified blobs, which the gateway's wallet pays.
type Storage interface {
	// Spool reads a body to its end into the gateway's spool. declared is its length.
	// Errors: ErrSpoolFull, ErrTooLarge, those of r.
	Spool(ctx context.Context, r io.Reader, declared int64) (Body, error)
	// Store returns when the blob is certified on the ledger, and readable here.
	Store(ctx context.Context, src client.Source, o Order) (Stored, error)
	// Lease is the wallet's lease on a blob. Errors: ErrNoLease.
	Lease(ctx context.Context, id blob.ID) (Lease, error)
	// Delete gives the wallet's lease on a blob back. Errors: ErrNoLease.
	Delete(ctx context.Context, id blob.ID) error
	// Extend pays for more epochs, and returns the epoch at whose start the lease ends.
	Extend(ctx context.Context, id blob.ID, epochs uint64) (unit.Epoch, error)
	// ReadRange writes a range of a blob. On an error what was written is a beginning of it.
	ReadRange(ctx context.Context, id blob.ID, offset, length int64, w io.Writer) error
	// Clock is the ledger's present epoch.
	Clock(ctx context.Context) (Clock, error)
	// Owned lists the blobs on which the wallet has a lease, the last certified first.
	Owned(ctx context.Context) ([]Owned, error)
}

// Body is a body in the spool. Close removes it.
type Body interface {
	client.Source
	io.Closer
}

// Order is what a blob is stored with.
type Order struct {
	Epochs  uint64 // from now on; 0: the network's default
	Renewed uint64 // epochs for which an allowance is left with the lease, to renew it
	// Identified is called with the blob's ID before anything is signed. An error from it
	// ends the store.
	Identified func(blob.ID) error
}

// Stored is what the ledger shows after a store.
type Stored struct {
	ID   blob.ID
	Made bool // the wallet had no lease on it before
	Lease
}

// Lease is the wallet's lease on a blob.
type Lease struct {
	Start, End unit.Epoch
}

// Clock is the present epoch, and when others begin.
type Clock struct {
	Epoch  unit.Epoch
	Begins func(unit.Epoch) time.Time
}

// Owned is a certified blob on which the wallet has a lease.
type Owned struct {
	ID   blob.ID
	Size int64
	Lease
}
