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
)

// spoolStep is the bytes that a body of unknown length reserves at once.
const spoolStep = 1 << 20

// Spool keeps bodies in files without a name while they are stored, up to a number of bytes
// together: a blob is read twice. However the process ends, nothing is left of them. All
// methods may be called at the same time.
type Spool struct {
	dir  string
	most int64 // bytes of all bodies
	each int64 // bytes of one; 0: as many as there is room for

	mu   sync.Mutex // guards used
	used int64
}

// NewSpool keeps bodies in a directory.
func NewSpool(dir string, most, each int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Spool{dir: dir, most: most, each: each}, nil
}

// Used is the bytes that bodies take now.
func (s *Spool) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Body is a body that was spooled: a client.Source.
type Body struct {
	client.FileSource
	close func() error
}

// Close removes the body.
func (b *Body) Close() error { return b.close() }

// Take reads a body to its end. declared is its length, -1 where it is not known: what is too
// large is refused before it is read. The error of r is given back as it is.
//
// Errors: ErrTooLarge, ErrSpoolFull.
func (s *Spool) Take(ctx context.Context, r io.Reader, declared int64) (*Body, error) {
	if s.each > 0 && declared > s.each {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, declared, s.each)
	}
	c := &counted{ctx: ctx, s: s, r: r}
	if err := s.Fits(declared); err != nil {
		return nil, err
	}
	src, remove, err := client.Spool(c, s.dir)
	if err != nil {
		c.free()
		if errors.Is(err, client.ErrRoom) {
			err = fmt.Errorf("%w: %w", ErrSpoolFull, err)
		}
		return nil, err
	}
	once := sync.OnceValue(func() error { c.free(); return remove() })
	return &Body{src, once}, nil
}

// counted reserves room for what is read through it.
type counted struct {
	ctx            context.Context
	s              *Spool
	r              io.Reader
	read, reserved int64
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.read += int64(n)
	if c.s.each > 0 && c.read > c.s.each {
		return 0, fmt.Errorf("%w: at most %d bytes", ErrTooLarge, c.s.each)
	}
	if c.read > c.reserved {
		if err := c.reserve(max(spoolStep, c.read-c.reserved)); err != nil {
			return 0, err
		}
	}
	return n, err
}

// Fits refuses what there is no room for now. Room is reserved as bytes come: what a stranger
// only says takes none.
func (s *Spool) Fits(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used+n > s.most {
		return fmt.Errorf("%w: %d bytes wait to be stored, at most %d together", ErrSpoolFull, s.used, s.most)
	}
	return nil
}

func (c *counted) reserve(n int64) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.used+n > c.s.most {
		return fmt.Errorf("%w: %d bytes wait to be stored, at most %d together", ErrSpoolFull, c.s.used, c.s.most)
	}
	c.s.used += n
	c.reserved += n
	return nil
}

func (c *counted) free() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.used -= c.reserved
	c.reserved = 0
}
