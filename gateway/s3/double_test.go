package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/unit"
)

// double is a Storage in memory: what it was given is certified at once.
type double struct {
	mu     sync.Mutex
	blobs  map[blob.ID][]byte // guarded by mu
	leases map[blob.ID]Lease  // guarded by mu
	order  []blob.ID          // guarded by mu; as they were certified
	epoch  unit.Epoch         // guarded by mu
	stores int                // guarded by mu; that paid a lease
	spools int                // guarded by mu; bodies that are in the spool

	certify func(blob.ID) error // before the lease is certified; nil: nothing
	broken  func(blob.ID, int64) error
}

func newDouble() *double {
	return &double{blobs: map[blob.ID][]byte{}, leases: map[blob.ID]Lease{}, epoch: 10}
}

type memoryBody struct {
	d *double
	b []byte
}

func (m *memoryBody) Size() int64 { return int64(len(m.b)) }
func (m *memoryBody) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.b[offset:])), nil
}
func (m *memoryBody) Close() error {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.spools--
	return nil
}

func (d *double) Spool(_ context.Context, r io.Reader, _ int64) (Body, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spools++
	return &memoryBody{d, b}, nil
}

func (d *double) Store(ctx context.Context, src client.Source, o Order) (Stored, error) {
	r, err := src.Open(0)
	if err != nil {
		return Stored{}, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return Stored{}, err
	}
	id := blob.ID(sha256.Sum256(b))
	if err := o.Identified(id); err != nil {
		return Stored{}, err
	}
	d.mu.Lock()
	_, had := d.leases[id]
	if !had {
		d.leases[id] = Lease{d.epoch, d.epoch.Plus(o.Epochs)}
		d.stores++
	}
	certify := d.certify
	d.mu.Unlock()
	if certify != nil {
		if err := certify(id); err != nil {
			return Stored{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blobs[id] = b
	d.order = append(d.order, id)
	return Stored{id, !had, d.leases[id]}, ctx.Err()
}

func (d *double) Lease(_ context.Context, id blob.ID) (Lease, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.leases[id]
	if !ok {
		return l, ErrNoLease
	}
	return l, nil
}

func (d *double) Delete(_ context.Context, id blob.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.leases[id]; !ok {
		return ErrNoLease
	}
	delete(d.leases, id)
	delete(d.blobs, id)
	return nil
}

func (d *double) Extend(_ context.Context, id blob.ID, epochs uint64) (unit.Epoch, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.leases[id]
	if !ok {
		return 0, ErrNoLease
	}
	l.End = l.End.Plus(epochs)
	d.leases[id] = l
	return l.End, nil
}

func (d *double) ReadRange(_ context.Context, id blob.ID, offset, length int64, w io.Writer) error {
	d.mu.Lock()
	b, ok := d.blobs[id]
	broken := d.broken
	d.mu.Unlock()
	if !ok {
		return errors.New("the ledger knows no such blob")
	}
	if offset < 0 || length < 0 || offset+length > int64(len(b)) {
		return fmt.Errorf("bytes %d to %d of %d", offset, offset+length, len(b))
	}
	for length > 0 {
		if broken != nil {
			if err := broken(id, offset); err != nil {
				return err
			}
		}
		n := min(length, 64<<10)
		if _, err := w.Write(b[offset : offset+n]); err != nil {
			return err
		}
		offset, length = offset+n, length-n
	}
	return nil
}

func (d *double) Clock(context.Context) (Clock, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	epoch := d.epoch
	return Clock{epoch, func(e unit.Epoch) time.Time {
		return time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC).Add(time.Duration(e) * time.Hour)
	}}, nil
}

func (d *double) Owned(context.Context) (out []Owned, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.order) - 1; i >= 0; i-- {
		id := d.order[i]
		if l, ok := d.leases[id]; ok {
			out = append(out, Owned{id, int64(len(d.blobs[id])), l})
		}
	}
	return out, nil
}

// state is the blobs that are leased, and the bodies in the spool.
func (d *double) state() (leases, spools, stores int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.leases), d.spools, d.stores
}
