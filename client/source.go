package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// Source is a blob's bytes, to be read twice: once to compute the ID, once to send.
type Source interface {
	Size() int64
	// Open starts at byte offset.
	Open(offset int64) (io.ReadCloser, error)
}

// ErrFileChanged is returned for a file that is not what it was when it was first looked at.
var ErrFileChanged = errors.New("the file changed while it was read")

// ErrRoom is returned where a spool would fill the disk.
var ErrRoom = errors.New("not enough room to keep the input")

// FileSource reads a regular file.
type FileSource struct {
	path  string
	size  int64
	at    time.Time // it was last written
	spool *os.File  // instead of path: a file without a name
}

// NewFileSource checks that path is a file that can be read twice.
func NewFileSource(path string) (FileSource, error) {
	info, err := os.Stat(path)
	if err != nil {
		return FileSource{}, err
	}
	if info.IsDir() {
		return FileSource{}, fmt.Errorf("%s is a directory: walrus store --quilt stores all its files as one blob", path)
	}
	if !info.Mode().IsRegular() {
		return FileSource{}, fmt.Errorf("%s is not a regular file: pipe it in and store - instead", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return FileSource{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return FileSource{}, err
	}
	if info.Size() == 0 { // files of /proc have content and no size
		if n, _ := f.Read(make([]byte, 1)); n > 0 {
			return FileSource{}, noSize(path)
		}
	}
	return FileSource{path: path, size: info.Size(), at: info.ModTime()}, nil
}

func noSize(path string) error {
	return fmt.Errorf("%s does not say how long it is, as files of the system do: pipe it in: cat %s | walrus store -", path, path)
}

// Size is the file's length when it was first looked at.
func (s FileSource) Size() int64 { return s.size }

// Open starts at byte offset.
func (s FileSource) Open(offset int64) (io.ReadCloser, error) {
	if s.spool != nil {
		return io.NopCloser(io.NewSectionReader(s.spool, offset, s.size-offset)), nil
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &fileReader{f: f, source: s, left: s.size - offset}, nil
}

// fileReader reads the bytes that a file had when it was first looked at, and fails at
// its end where it is not what it was then.
type fileReader struct {
	f      *os.File
	source FileSource
	left   int64
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, r.end()
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if n > 0 || err == nil {
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		return 0, err
	}
	if err := r.end(); !errors.Is(err, io.EOF) {
		return 0, err
	}
	return 0, noSize(r.source.path)
}

// end is io.EOF, or how the file has changed.
func (r *fileReader) end() error {
	info, err := r.f.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() != r.source.size:
		return fmt.Errorf("%w: %s had %d bytes, and has %d now: store a copy of it that rests", ErrFileChanged, r.source.path, r.source.size, info.Size())
	case !info.ModTime().Equal(r.source.at):
		return fmt.Errorf("%w: %s was written to: store a copy of it that rests", ErrFileChanged, r.source.path)
	}
	return io.EOF
}

func (r *fileReader) Close() error { return r.f.Close() }

// Of a spool.
const (
	spoolReserve = 256 << 20 // least bytes that it leaves free on its disk, and
	spoolPart    = 20        // least part of the disk: 1/20
	spoolStep    = 8 << 20   // bytes between two looks at the disk
	spoolTold    = 1 << 20   // bytes between two words on how long the file is
)

// Spool copies what cannot be read twice (a pipe) to a temporary file in dir, which has
// no name where the system allows that: then nothing is left of it, however the process
// ends. It stops before the disk is full. The caller removes it with the returned function.
func Spool(r io.Reader, dir string) (FileSource, func() error, error) {
	s, err := newSpool(dir)
	if err == nil {
		err = s.take(r, diskRoom, nil)
	}
	if err != nil {
		return FileSource{}, nil, err
	}
	return s.source(), s.remove, nil
}

// SpoolAhead is Spool of size bytes, and begins their store meanwhile: their ID is known a moment
// after the last byte. The store is nil where nothing could be begun, and where r gives another
// number of bytes; else Drop or Store must follow.
func (c *Client) SpoolAhead(ctx context.Context, r io.Reader, dir string, size int64) (FileSource, *StoreAhead, func() error, error) {
	s, err := newSpool(dir)
	if err != nil {
		return FileSource{}, nil, nil, err
	}
	p := c.beginPass(ctx, FileSource{size: size, spool: s.file})
	if err := s.take(r, diskRoom, p.grow); err != nil {
		p.drop()
		return FileSource{}, nil, nil, err
	}
	if s.size != size {
		p.drop()
		return s.source(), nil, s.remove, nil
	}
	return s.source(), p.end(), s.remove, nil
}

// spool is a file that takes an input.
type spool struct {
	dir    string
	file   *os.File
	remove func() error
	size   int64
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "walrus-spool-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	remove := f.Close
	if runtime.GOOS == "windows" || os.Remove(f.Name()) != nil {
		remove = func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }
	}
	return &spool{dir: dir, file: f, remove: remove}, nil
}

func (s *spool) source() FileSource { return FileSource{size: s.size, spool: s.file} }

// take copies r to its end. grown, if not nil, is told the file's length as it grows. After an
// error the file is removed; what reads it may go on until it is done.
func (s *spool) take(r io.Reader, room func(string) (free, total int64, err error), grown func(size int64)) error {
	err := s.copy(r, room, grown)
	if err == nil {
		return nil
	}
	s.remove()
	return fmt.Errorf("keep the input in %s: %w", s.dir, err)
}

func (s *spool) copy(r io.Reader, room func(string) (free, total int64, err error), grown func(size int64)) error {
	for {
		free, total, err := room(s.dir)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if reserve := max(spoolReserve, total/spoolPart); err == nil && free < reserve+spoolStep {
			return fmt.Errorf("%w: %d MiB of it are there, %d MiB are free, and %d MiB must stay free: make room",
				ErrRoom, s.size>>20, free>>20, reserve>>20)
		}
		for range spoolStep / spoolTold {
			n, err := io.CopyN(s.file, r, spoolTold)
			if s.size += n; grown != nil {
				grown(s.size)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}
