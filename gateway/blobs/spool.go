package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/walrus-network/walrus/client"
)

// Errors of a spool.
var (
	ErrSpoolFull = errors.New("the gateway has no room for more bodies at the moment")
	ErrTooLarge  = errors.New("the body is larger than this gateway takes")
	// ErrDisk wraps errors of the disk, whose text names the directory: it is for the operator.
	ErrDisk = errors.New("the gateway's disk does not take the body")
)

// spoolStep is the bytes that a body of unknown length reserves at once.
const spoolStep = 1 << 20

// Spool keeps bodies in files without a name while they are stored, up to a number of bytes
// together: a blob is read twice. However the process ends, nothing is left of them. Bodies
// that lie elsewhere, of uploads, reserve their bytes here, so that one bound holds for all.
// All methods may be called at the same time.
type Spool struct {
	dir  string
	most int64 // bytes of all bodies
	each int64 // bytes of one; 0: as many as there is room for

	// Client, if not nil, works out the IDs of large bodies while they come: of those whose
	// length is said.
	Client *client.Client

	mu   sync.Mutex // guards used
	used int64      // bytes of bodies, and reserved
}

// NewSpool keeps bodies in a directory.
func NewSpool(dir string, most, each int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Spool{dir: dir, most: most, each: each}, nil
}

// Size is the bytes that all bodies may have together.
func (s *Spool) Size() int64 { return s.most }

// Used is the bytes that bodies take now or that are reserved.
func (s *Spool) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Body is a body that was spooled: a client.Source.
type Body struct {
	client.FileSource
	ahead *client.StoreAhead // nil: the store begins with its first pass
	close func() error
}

// Close removes the body.
func (b *Body) Close() error { return b.close() }

// Take reads a body to its end. declared is its length, -1 where it is not known: what is too
// large is refused before it is read. The error of r is given back as it is.
//
// Errors: ErrTooLarge, ErrSpoolFull, ErrDisk.
func (s *Spool) Take(ctx context.Context, r io.Reader, declared int64) (*Body, error) {
	// Room is reserved as bytes come: what a stranger only says takes none.
	if err := s.admits(max(declared, 0)); err != nil {
		return nil, err
	}
	c := &counted{ctx: ctx, s: s, r: r}
	src, ahead, remove, err := s.copy(ctx, c, declared)
	if err != nil {
		c.free()
		switch {
		case c.failed != nil: // without the directory's name, which client.Spool adds
			return nil, c.failed
		case errors.Is(err, client.ErrRoom):
			return nil, fmt.Errorf("%w: its disk is nearly full", ErrSpoolFull)
		}
		return nil, fmt.Errorf("%w: %w", ErrDisk, err)
	}
	once := sync.OnceValue(func() error { ahead.Drop(); c.free(); return remove() })
	return &Body{src, ahead, once}, nil
}

func (s *Spool) copy(ctx context.Context, r io.Reader, declared int64) (client.FileSource, *client.StoreAhead, func() error, error) {
	if s.Client != nil && declared >= 0 {
		return s.Client.SpoolAhead(ctx, r, s.dir, declared)
	}
	src, remove, err := client.Spool(r, s.dir)
	return src, nil, remove, err
}

// Reserve takes n bytes of the room for a body that lies elsewhere, until Free.
//
// Errors: ErrTooLarge where there never is room for it, ErrSpoolFull.
func (s *Spool) Reserve(n int64) error {
	if err := s.tooLarge(n); err != nil {
		return err
	}
	return s.reserve(n)
}

// Hold takes n bytes as Reserve does, also where there is no room: the body is there already.
func (s *Spool) Hold(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += n
}

// Free gives back n bytes of what was reserved or held.
func (s *Spool) Free(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
}

// Fits refuses a body for which there never is room.
//
// Errors: ErrTooLarge.
func (s *Spool) Fits(n int64) error { return s.tooLarge(n) }

// tooLarge refuses a body that an empty spool would not take.
func (s *Spool) tooLarge(n int64) error {
	most := s.most
	if s.each > 0 {
		most = min(most, s.each)
	}
	if n < 0 || n > most {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, most)
	}
	return nil
}

func (s *Spool) admits(n int64) error {
	if err := s.tooLarge(n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fits(n)
}

// fits needs mu. It subtracts: a sum of two lengths might overflow.
func (s *Spool) fits(n int64) error {
	if n > s.most-s.used {
		return fmt.Errorf("%w: %d bytes wait to be stored, at most %d together", ErrSpoolFull, s.used, s.most)
	}
	return nil
}

func (s *Spool) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.fits(n)
	if err == nil {
		s.used += n
	}
	return err
}

// counted reserves room for what is read through it.
type counted struct {
	ctx            context.Context
	s              *Spool
	r              io.Reader
	read, reserved int64
	failed         error // why reading ended, if not at the end of r
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.readOnce(p)
	if err != nil && err != io.EOF {
		c.failed = err
	}
	return n, err
}

func (c *counted) readOnce(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.read += int64(n)
	if c.s.each > 0 && c.read > c.s.each {
		return 0, fmt.Errorf("%w: at most %d bytes", ErrTooLarge, c.s.each)
	}
	if more := c.read - c.reserved; more > 0 {
		more = max(spoolStep, more)
		if err := c.s.reserve(more); err != nil {
			return 0, err
		}
		c.reserved += more
	}
	return n, err
}

func (c *counted) free() {
	c.s.Free(c.reserved)
	c.reserved = 0
}
