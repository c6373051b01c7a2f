package client

import (
	"fmt"
	"io"
	"os"
)

// Source is a blob's bytes, to be read twice: once to compute the ID, once to send.
type Source interface {
	Size() int64
	// Open starts at byte offset.
	Open(offset int64) (io.ReadCloser, error)
}

// FileSource reads a regular file.
type FileSource struct {
	path string
	size int64
}

// NewFileSource checks that path is a file that can be read twice.
func NewFileSource(path string) (FileSource, error) {
	info, err := os.Stat(path)
	if err != nil {
		return FileSource{}, err
	}
	if info.IsDir() {
		return FileSource{}, fmt.Errorf("%s is a directory: store its files one by one, or an archive of it", path)
	}
	if !info.Mode().IsRegular() {
		return FileSource{}, fmt.Errorf("%s is not a regular file: pipe it in and store - instead", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return FileSource{}, err
	}
	return FileSource{path: path, size: info.Size()}, f.Close()
}

// Size is the file's length when it was first looked at.
func (s FileSource) Size() int64 { return s.size }

// Open starts at byte offset.
func (s FileSource) Open(offset int64) (io.ReadCloser, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Spool copies what cannot be read twice (a pipe) to a temporary file in dir. The
// caller removes it with the returned function.
func Spool(r io.Reader, dir string) (FileSource, func() error, error) {
	f, err := os.CreateTemp(dir, "walrus-spool-*")
	if err != nil {
		return FileSource{}, nil, fmt.Errorf("spool: %w", err)
	}
	remove := func() error { return os.Remove(f.Name()) }
	size, err := io.Copy(f, r)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		remove()
		return FileSource{}, nil, fmt.Errorf("spool to %s: %w", f.Name(), err)
	}
	return FileSource{path: f.Name(), size: size}, remove, nil
}
