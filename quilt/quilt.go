package quilt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"

	"github.com/walrus-network/walrus/canon"
)

// Errors of New and of reading a Quilt.
var (
	ErrNoFiles  = errors.New("a quilt has one file at least")
	ErrTooMany  = errors.New("too much for one quilt: make several")
	ErrTwice    = errors.New("two files have the same identifier")
	ErrChanged  = errors.New("the file changed while it was read")
	ErrTag      = errors.New("not a tag that a quilt can keep")
	ErrFileType = errors.New("not a content type")
)

// File is one file of a quilt that is to be made.
type File struct {
	Identifier  string
	Size        int64  // bytes
	ContentType string // may be empty
	Tags        []Tag  // in any order; names are unique
	// Open starts at byte offset of the file. It is called once or more.
	Open func(offset int64) (io.ReadCloser, error)
}

// Quilt is the bytes of a quilt, made anew from its files each time that they are read.
type Quilt struct {
	head  []byte // header and index
	files []File // sorted by identifier
	index Index
	size  int64 // bytes in all
}

// New checks and sorts files. The files are opened only when the quilt is read.
//
// Errors: ErrNoFiles, ErrTooMany, ErrTwice, ErrIdentifier, ErrFileType, ErrTag.
func New(files []File) (*Quilt, error) {
	if len(files) == 0 {
		return nil, ErrNoFiles
	}
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files, at most %d: %w", len(files), MaxFiles, ErrTooMany)
	}
	q := &Quilt{files: slices.Clone(files)}
	slices.SortFunc(q.files, func(a, b File) int { return cmp.Compare(a.Identifier, b.Identifier) })
	records := make([]record, len(q.files))
	var offset int64
	for i, f := range q.files {
		if f.Size < 0 || f.Size > math.MaxInt64-maxHead-offset {
			return nil, fmt.Errorf("file %q of %d bytes: %w", f.Identifier, f.Size, ErrTooMany)
		}
		tags := make([]pair, len(f.Tags))
		for i, t := range f.Tags {
			tags[i] = pair{Name: t.Name, Value: t.Value}
		}
		slices.SortFunc(tags, func(a, b pair) int { return cmp.Compare(a.Name, b.Name) })
		records[i] = record{Identifier: f.Identifier, Offset: uint64(offset), Length: uint64(f.Size), ContentType: f.ContentType, Tags: tags}
		offset += f.Size
	}
	encoded := canon.Encode(records)
	if len(encoded) > MaxIndexBytes {
		return nil, fmt.Errorf("an index of %d bytes, at most %d: %w", len(encoded), MaxIndexBytes, ErrTooMany)
	}
	c := checker{start: headerBytes + int64(len(encoded)), size: headerBytes + int64(len(encoded)) + offset}
	for _, r := range records {
		if err := c.add(r); err != nil {
			return nil, err
		}
	}
	q.head = append(binary.BigEndian.AppendUint32([]byte(magic), uint32(len(encoded))), encoded...)
	q.index, q.size = c.index, c.size
	return q, nil
}

// Size is the bytes of the whole quilt: header, index and files.
func (q *Quilt) Size() int64 { return q.size }

// Index is where each file lies.
func (q *Quilt) Index() Index { return q.index }

// Open starts at byte offset of the quilt. A file that is shorter or longer than it was
// said to be ends the reading with ErrChanged.
func (q *Quilt) Open(offset int64) (io.ReadCloser, error) {
	if offset < 0 || offset > q.size {
		return nil, fmt.Errorf("byte %d of a quilt of %d", offset, q.size)
	}
	r := &reader{q: q}
	if offset < int64(len(q.head)) {
		r.head = q.head[offset:]
		return r, nil
	}
	r.next = sort.Search(len(q.files), func(i int) bool {
		e := q.index.Entries[i]
		return e.Offset+e.Length > offset
	})
	if r.next < len(q.files) {
		if err := r.open(offset - q.index.Entries[r.next].Offset); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// reader reads a quilt file by file; one file is open at a time.
type reader struct {
	q    *Quilt
	head []byte        // not yet read
	next int           // number of the file that is opened next
	file io.ReadCloser // number next-1; nil: none is open
	left int64         // bytes of it
	err  error         // that the reading ended with
}

func (r *reader) open(offset int64) error {
	f := r.q.files[r.next]
	file, err := f.Open(offset)
	if err != nil {
		return fmt.Errorf("file %q of the quilt: %w", f.Identifier, err)
	}
	r.file, r.left = file, f.Size-offset
	r.next++
	return nil
}

// Read never returns bytes of two files, so that the end of each is looked at.
func (r *reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	if len(r.head) > 0 {
		n = copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	for n == 0 && r.err == nil {
		switch {
		case r.file != nil:
			n, r.err = r.part(p)
		case r.next == len(r.q.files):
			r.err = io.EOF
		default:
			r.err = r.open(0)
		}
	}
	if n > 0 {
		return n, nil // and the error next time
	}
	return 0, r.err
}

// part reads of the file that is open, and closes it at its end.
func (r *reader) part(p []byte) (n int, err error) {
	if r.left > 0 {
		n, err = r.file.Read(p[:min(int64(len(p)), r.left)])
		if r.left -= int64(n); r.left > 0 {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%d bytes of it are missing: %w", r.left, ErrChanged)
			}
			return n, r.named(err)
		}
	}
	if err == nil { // an end that was not yet told
		var more int
		more, err = io.ReadFull(r.file, make([]byte, 1))
		if more > 0 {
			return n, r.named(fmt.Errorf("it is longer than it was: %w", ErrChanged))
		}
	}
	if !errors.Is(err, io.EOF) {
		return n, r.named(err)
	}
	err = r.file.Close()
	r.file = nil
	return n, r.named(err)
}

func (r *reader) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("file %q of the quilt: %w", r.q.files[r.next-1].Identifier, err)
}

// Close closes the file that is open.
func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
